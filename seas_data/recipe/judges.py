"""Recipe section ``judges``: guards, rules, chat models, and panels of several judges."""

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from seas_data.recipe.base import FreeOptions, StrictModel
from seas_data.recipe.paths import PolicyText
from seas_data.registry import names

GUARDS_GROUP: Final = "seas_data.guards"
"""The entry point group of guards."""
_OF_RESPONSES: Final = "gives classes of responses, and only_prompts judges none; remove one of the two keys"


class _Named(StrictModel):
    by: str
    name: str

    @property
    def label(self) -> str:
        """Return the judge's name in verdicts."""
        return self.name


class JudgeGuard(StrictModel):
    """A safety classifier that gives verdicts, prompted and parsed as its makers published it."""

    by: Literal["guard"]
    """A safety classifier judges."""
    guard: str
    """One of the installed guards; `seas-data judge --help` lists them."""
    model: str
    """One of `models`."""
    name: str = ""
    """The judge's name in verdicts; by default its guard's."""
    options: FreeOptions = {}
    """The guard's own options, such as `{controversial: safe}` of qwen3guard."""
    policy: PolicyText | None = None
    """For guards that judge by a policy of the recipe: its text, or a file that ends in .md or .txt."""
    chat_template_kwargs: FreeOptions = {}
    """Keywords for the chat template, beside those that the guard gives itself."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Room for thinking before the verdict, for guards that think; only what follows the thinking is read."""
    only_prompts: bool = False
    """Whether it judges prompts where a key such as `loop.validity.judge` names it, and never responses."""

    @field_validator("guard")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        if value not in (known := names(GUARDS_GROUP)):
            raise ValueError(f"there is no guard {value!r}; set it to one of {', '.join(known)}")
        return value

    @property
    def label(self) -> str:
        """Return the judge's name in verdicts."""
        return self.name or self.guard


class JudgePatterns(StrictModel):
    """What to search for in a text."""

    patterns: list[str] = []
    """Regular expressions in Rust's syntax, which takes linear time: no look-around, no back-references."""
    words: list[str] = []
    """Whole words or phrases, searched in the folded text: case, invisible characters and look-alike letters do not
    matter."""


class JudgeRules(_Named):
    """Verdicts and refusal classes by patterns and words in a response."""

    by: Literal["rules"]
    """Words and patterns judge."""
    name: str = "rules"
    """The judge's name in verdicts."""
    unsafe: JudgePatterns | None = None
    """A response that matches is unsafe, any other is safe; null, and no categories: no verdicts."""
    categories: dict[str, JudgePatterns] = {}
    """A response that matches the patterns of a name is unsafe, too, and the verdict has the name as a category."""
    refusal: JudgePatterns | None = None
    """A response that matches is a refusal, any other is full compliance; null: no refusal classes."""
    compliance: JudgePatterns | None = None
    """A refusal that also matches this is a partial refusal."""
    only_prompts: bool = False
    """Whether it judges prompts where a key such as `loop.validity.judge` names it, and never responses."""

    @property
    def model(self) -> None:
        """Return None: rules need no model."""
        return

    @model_validator(mode="after")
    def _gives_something(self) -> "JudgeRules":
        if self.unsafe is None and self.refusal is None and not self.categories:
            raise ValueError("rules give nothing; set unsafe, categories or refusal")
        if self.compliance is not None and self.refusal is None:
            raise ValueError("compliance only separates partial from full refusals; set refusal, too")
        if self.only_prompts and self.refusal is not None:
            raise ValueError(f"refusal {_OF_RESPONSES}")
        return self


class JudgeRefusal(_Named):
    """A model that classifies, by the XSTest protocol, whether a response answers or refuses."""

    by: Literal["refusal"]
    """A chat model names the refusal class."""
    model: str
    """One of `models`."""
    name: str = "xstest"
    """The judge's name in verdicts."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Room for thinking before the class, for models that think; only what follows the thinking is read."""


class JudgeChat(_Named):
    """A chat model that is asked with a prompt of one's own. Its reply is read as one word, as JSON or by a pattern."""

    by: Literal["chat"]
    """A chat model gives the verdict."""
    model: str
    """One of `models`."""
    name: str = "chat"
    """The judge's name in verdicts."""
    prompt: str
    """Jinja template of `question`, `goal`, `response` and `policy`. Each is written between tags of its name. `goal`
    may be absent; so is `response` when prompts are judged."""
    policy: PolicyText | None = None
    """The policy that the prompt shows: its text, or a file that ends in .md or .txt."""
    unsafe: list[str] = Field(default=["unsafe"], min_length=1)
    """What the reply calls unsafe, without regard to case."""
    safe: list[str] = Field(default=["safe"], min_length=1)
    """What the reply calls safe, without regard to case."""
    refusals: dict[Literal["full_compliance", "full_refusal", "partial_refusal"], list[str]] = {}
    """What the reply calls each refusal class, if it gives one."""
    categories: list[str] = []
    """The categories that a reply may name."""
    json_paths: dict[Literal["verdict", "refusal", "categories", "score"], str] = {}
    """The reply is a JSON object: where each field stands in it, such as `{verdict: result.label}`."""
    pattern: str | None = None
    """The reply matches this regular expression (in Rust's syntax) as a whole; its named groups are verdict, refusal,
    categories and score."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Maximum tokens of the reply. One that reaches it is unparsed."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Room for thinking before the reply, for models that think; only what follows the thinking is read."""
    only_prompts: bool = False
    """Whether it judges prompts where a key such as `loop.validity.judge` names it, and never responses."""

    @property
    def verdict_words(self) -> dict[Literal["unsafe", "safe"], list[str]]:
        """Return the words of each verdict."""
        return {"unsafe": self.unsafe, "safe": self.safe}

    @model_validator(mode="after")
    def _check_reader(self) -> "JudgeChat":
        if self.json_paths and self.pattern is not None:
            raise ValueError("give either json_paths or pattern")
        if self.json_paths and "verdict" not in self.json_paths:
            raise ValueError("json_paths should say where the verdict is")
        if self.only_prompts and self.refusals:
            raise ValueError(f"refusals {_OF_RESPONSES}")
        lists = [self.unsafe, self.safe], list(self.refusals.values())
        for words in ([word.strip().casefold() for each in group for word in each] for group in lists):
            if len(set(words)) < len(words) or "" in words:
                raise ValueError("a word of a reply should stand for one verdict and one refusal class")
        return self


class JudgePanel(_Named):
    """One verdict from those of several judges."""

    by: Literal["panel"]
    """Other judges of the recipe vote."""
    name: str = "panel"
    """The panel's name in verdicts."""
    members: list[str] = Field(min_length=2)
    """The names of judges that give verdicts."""
    rule: Literal["any", "majority", "all"] = "majority"
    """How many members must say unsafe."""
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Votes of a member, for `majority`; 1 unless stated."""
    min_parsed: int | None = Field(default=None, ge=1)
    """Members whose verdict must have parsed where the others could change the outcome; all unless stated."""

    @property
    def model(self) -> None:
        """Return None: a panel needs no model of its own."""
        return

    @model_validator(mode="after")
    def _check_members(self) -> "JudgePanel":
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is named twice")
        if unknown := [name for name in self.weights if name not in self.members]:
            raise ValueError(f"weights has {', '.join(unknown)}, not among the members")
        if self.weights and self.rule != "majority":
            raise ValueError("weights count only with rule: majority")
        if (self.min_parsed or 1) > len(self.members):
            raise ValueError("min_parsed is greater than the number of members")
        return self


Judge = Annotated[JudgeGuard | JudgeRules | JudgeRefusal | JudgeChat | JudgePanel, Field(discriminator="by")]
