"""From messages to the text that a model reads, by its chat template.

A base model has no template; the recipe gives one. Templates write the beginning-of-text mark themselves, so their text
is tokenised without special tokens. Where a server tokenises it, and adds the mark again, it is taken off first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seas_data.errors import SeasDataError
from seas_data.models.protocol import Asking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]


def load_tokenizer(model: str, revision: str | None = None, template: str | None = None) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of ``model`` for generation: padded on the left, with ``template`` as its chat template.

    ``template`` is Jinja text or a file that ends in .jinja; without one the tokenizer's own stays. Raises
    SeasDataError if it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as problem:
        raise SeasDataError(f"the tokenizer of {model} cannot be loaded: {_first_line(problem)}") from problem
    for name in ("local_files_only", "is_local"):
        # How it was found is no part of what it is: saved along, it would make the same model another one offline.
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if template is not None:
        tokenizer.chat_template = template_text(template)
    return tokenizer


def template_text(setting: str) -> str:
    """Return the Jinja text that a ``chat_template`` setting stands for; raise SeasDataError if it is no file."""
    if not setting.endswith(".jinja"):
        return setting
    try:
        return Path(setting).read_text(encoding="utf-8")
    except OSError as problem:
        raise SeasDataError(f"the chat template {setting} cannot be read: {problem.strerror}") from problem


def render(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Sequence[Message]], asking: Asking
) -> list[str]:
    """Return the text of each conversation by the tokenizer's chat template; raise SeasDataError if there is none."""
    if not tokenizer.chat_template:
        raise SeasDataError(
            f"{tokenizer.name_or_path} has no chat template (a base model has none); give one as chat_template"
        )
    from jinja2 import TemplateError

    if not conversations:
        return []
    said = [[_content(message, asking.as_parts) for message in messages] for messages in conversations]
    try:
        texts = tokenizer.apply_chat_template(
            said, tokenize=False, add_generation_prompt=asking.generation_prompt, **asking.template
        )
    except TemplateError as problem:
        raise SeasDataError(f"the chat template of {tokenizer.name_or_path} refuses these messages: {problem}") from (
            problem
        )
    return list(texts)


def content_parts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the messages with their contents as lists of typed parts."""
    return [_content(message, True) for message in messages]


def without_begin(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """Return ``text`` less the beginning-of-text mark, if the tokenizer puts one before every text by itself."""
    mark = tokenizer.bos_token
    if mark and text.startswith(mark) and tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]:
        return text[len(mark) :].lstrip(" ")
    return text


def end_marks(tokenizer: "PreTrainedTokenizerBase", configured: object) -> list[int]:
    """Return the token ids that end an answer: those ``configured`` (an id, ids or None), and the template's own.

    A recipe's template may end a turn with a mark that is not the base model's end-of-text, and generation would run
    on to its limit. The token that the template writes right after an answer is that mark, if it is a special one.
    """
    given = configured if isinstance(configured, list) else [configured]
    marks = {token for token in [*given, tokenizer.eos_token_id] if isinstance(token, int)}
    if tokenizer.chat_template:
        from jinja2 import TemplateError

        said = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
        try:
            text = str(tokenizer.apply_chat_template(said, tokenize=False))
        except (TemplateError, TypeError, ValueError):
            text = ""  # a guard's template may want other messages; such models end with their end-of-text mark
        after = text.rpartition("answer")[2].strip()
        first = tokenizer(after, add_special_tokens=False)["input_ids"][:1] if after else []
        marks |= set(first) & _special(tokenizer)
    return sorted(marks)


def _special(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | set(tokenizer.all_special_ids)


def _content(message: Message, as_parts: bool) -> dict[str, Any]:
    content = message["content"]
    return {"role": message["role"], "content": [{"type": "text", "text": content}] if as_parts else content}


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
