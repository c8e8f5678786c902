"""A recipe's models: where each is and how it is run."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from seas_data.recipe.base import Strict
from seas_data.recipe.paths import ModelPlace, Template


class ModelInProcess(Strict):
    """A model that this process loads with transformers. Code that comes with a checkpoint is never run."""

    backend: Literal["transformers"] = "transformers"
    model: ModelPlace
    """A name on the Hub, or a folder, which begins with `./`, `/`, `~` or `$`."""
    revision: str | None = None
    """The commit of a model of the Hub; without one, the newest."""
    licence: str | None = None
    """Its makers' licence, such as Apache-2.0 or llama3.1: a release of what it wrote must keep to it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 on a GPU, fp32 elsewhere."""
    batch_tokens: int = Field(default=65_536, ge=1)
    """Tokens of a batch, asked and answered, padding included: what its memory grows with."""
    batch_rows: int = Field(default=256, ge=1)
    chat_template: Template | None = None
    """The Jinja text, or a file that ends in .jinja: for a base model, which has none."""


class ModelHttp(Strict):
    """A model behind a server that speaks OpenAI's protocol."""

    backend: Literal["http"]
    model: ModelPlace
    """Its name there; with `serve`, the Hub name that is served, or the folder, which begins with `./`, `/`, `~` or
    `$`."""
    revision: str | None = None
    """With `serve`, the commit of a model of the Hub; without one, the newest."""
    licence: str | None = None
    """Its makers' licence, such as Apache-2.0 or llama3.1: a release of what it wrote must keep to it."""
    url: str | None = None
    """Up to the version, such as `http://127.0.0.1:8000/v1`."""
    serve: list[str] | None = None
    """In place of a url: the command that serves it, with {model} and {port}, such as `[vllm, serve, "{model}", --port,
    "{port}"]`. No shell reads it, and it listens on this machine alone."""
    form: Literal["chat", "completion"] = "chat"
    """`completion` sends the text that the chat template gives, for servers that have none."""
    tokenizer: ModelPlace | None = None
    """Of the form completion: whose chat template it is, if not the model's."""
    chat_template: Template | None = None
    """Of the form completion: the Jinja text, or a file that ends in .jinja."""
    key_variable: str | None = None
    """The environment variable that holds the key. It is not stored anywhere."""
    concurrency: int = Field(default=64, ge=1)
    """Requests under way at once."""
    timeout: float = Field(default=600, gt=0)
    """Seconds for one request."""
    patience: float = Field(default=1800, ge=0)
    """Seconds to wait for a server that is starting, busy or gone."""
    options: dict[str, Any] = {}
    """Anything else that the server takes in a request; null leaves a field out."""

    @model_validator(mode="after")
    def _one_server(self) -> "ModelHttp":
        if (self.url is None) == (self.serve is None):
            raise ValueError("give either url, or serve with the command that starts a server")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url should begin with http:// or https://")
        if self.url is not None and self.revision is not None:
            raise ValueError("revision needs serve: what a server at a url has is its own")
        if self.form == "chat" and (self.tokenizer is not None or self.chat_template is not None):
            raise ValueError("tokenizer and chat_template need form: completion: in a chat the server has the template")
        return self


def _backend(content: Any) -> str:
    given = content.get("backend", "transformers") if isinstance(content, dict) else content.backend
    return str(given)


Model = Annotated[
    Annotated[ModelInProcess, Tag("transformers")] | Annotated[ModelHttp, Tag("http")], Discriminator(_backend)
]
