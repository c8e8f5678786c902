"""Recipe keys of models: where each model is and how it is run."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, model_validator

from seas_data.recipe.base import FreeOptions, StrictModel
from seas_data.recipe.paths import ChatTemplate, ModelReference


class ModelInProcess(StrictModel):
    """A model that this process loads with transformers. Code that comes with a checkpoint is never run."""

    backend: Literal["transformers"] = "transformers"
    """Run the model in this process."""
    model: ModelReference
    """A name on the Hub, a bundled model (`smollm2-135m-instruct`), or a folder, which begins with `./`, `/`, `~` or
    `$`."""
    revision: str | None = None
    """Commit of a model of the Hub. Null: the newest."""
    licence: str | None = None
    """The makers' licence, such as Apache-2.0 or llama3.1. A release of its responses must comply with it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` is a GPU if there is one."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 on a GPU. On a CPU it is fp32, in which the batch of a request hardly ever changes its answer."""
    max_batch_tokens: int = Field(default=65_536, ge=1)
    """Maximum tokens of a batch, prompts and responses with padding. Memory grows with it."""
    max_batch_rows: int = Field(default=256, ge=1)
    """Maximum prompts of a batch."""
    chat_template: ChatTemplate | None = None
    """Jinja text, or a file that ends in .jinja, for a base model without a chat template."""
    thinking: Literal["split", "keep"] = "split"
    """`split` moves what the model thinks before its answer (`<think>`, `reasoning_content`) to the column `thinking`:
    it is neither judged nor in a pair. `keep` leaves it in the text."""


class ModelHttp(StrictModel):
    """A model behind a server with OpenAI's protocol, such as vLLM."""

    backend: Literal["http"]
    """Call a server."""
    model: ModelReference
    """The model's name on the server. With `serve`: the name on the Hub that is served, or the folder, which begins
    with `./`, `/`, `~` or `$`."""
    revision: str | None = None
    """With `serve`: commit of a model of the Hub. Null: the newest."""
    licence: str | None = None
    """The makers' licence, such as Apache-2.0 or llama3.1. A release of its responses must comply with it."""
    url: str | None = None
    """Address of the server up to the version, such as `http://127.0.0.1:8000/v1`."""
    serve: list[str] | None = None
    """In place of `url`: the command that starts the server, with {model} and {port}, such as `[vllm, serve, "{model}",
    --port, "{port}"]`. It is run without a shell and listens on this machine only."""
    endpoint: Literal["chat", "completions", "moderations"] = "chat"
    """`completions` sends the text that the chat template renders, for servers without a chat template. `moderations`
    is for the guard openai-moderation."""
    tokenizer: ModelReference | None = None
    """For `endpoint: completions`: the model whose chat template is used, if not the model's own."""
    chat_template: ChatTemplate | None = None
    """For `endpoint: completions`: Jinja text, or a file that ends in .jinja."""
    api_key_env: str | None = None
    """Environment variable that holds the API key. The key is not stored."""
    concurrency: int = Field(default=64, ge=1)
    """Maximum concurrent requests."""
    timeout_seconds: float = Field(default=600, gt=0)
    """Maximum time of one request, from sending it to the end of the reply."""
    max_wait_seconds: float = Field(default=1800, ge=0)
    """Maximum time to wait for a server that is starting, busy or unreachable."""
    extra_body: FreeOptions = {}
    """Additional fields of each request. Null leaves a field out, such as `seed` or `n`: answers are then not
    reproducible, or each sample is a request."""
    thinking: Literal["split", "keep"] = "split"
    """`split` moves what the model thinks before its answer (`<think>`, `reasoning_content`) to the column `thinking`:
    it is neither judged nor in a pair. `keep` leaves it in the text."""

    @model_validator(mode="after")
    def _check_server(self) -> "ModelHttp":
        if (self.url is None) == (self.serve is None):
            raise ValueError("give either url, or serve with the command that starts a server")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url should begin with http:// or https://")
        if self.url is not None and not _is_address(self.url):
            raise ValueError("url should have a host, and a port of 1 to 65535 or none")
        if self.url is not None and self.revision is not None:
            raise ValueError("revision needs serve; a server at a url chooses its revision itself")
        if self.endpoint != "completions" and (self.tokenizer is not None or self.chat_template is not None):
            raise ValueError(
                "tokenizer and chat_template need endpoint: completions; for chat the server applies the template"
            )
        return self


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _backend(content: Any) -> str:
    given = content.get("backend", "transformers") if isinstance(content, dict) else getattr(content, "backend", "")
    return str(given)


Model = Annotated[
    Annotated[ModelInProcess, Tag("transformers")] | Annotated[ModelHttp, Tag("http")], Discriminator(_backend)
]
