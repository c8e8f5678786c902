"""Chat templates: messages rendered as the text that a model reads, and the tokens that end its answer.

A base model has no template, so the recipe gives one. Templates write the beginning-of-text token (BOS) themselves, so
rendered text is tokenised without special tokens. Before it is sent to a server, which adds BOS again, BOS is removed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seas_data.errors import SeasDataError
from seas_data.models.protocol import PromptFormat
from seas_data.text import content_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]


def template_settings(template: str | None) -> dict[str, str]:
    """Return what ``backend_settings`` say of a recipe's own template: its digest; nothing without one."""
    return {} if template is None else {"chat_template": content_id("chat template", template)}


def load_tokenizer(model: str, revision: str | None = None, template: str | None = None) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of ``model`` for generation: padded on the left, with ``template`` as its chat template.

    ``template`` is Jinja text or a path that ends in .jinja; None keeps the tokenizer's own. Raises SeasDataError if
    the tokenizer or the template cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
    except Exception as problem:  # the tokenizers library raises no narrower class
        raise SeasDataError(
            f"the tokenizer of {model} cannot be loaded: {_first_line(problem)}; check the model's name and files"
        ) from problem
    for name in ("local_files_only", "is_local"):
        # Saved with the tokenizer, these would change the checkpoint's digest between online and offline runs.
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if template is not None:
        tokenizer.chat_template = read_template(template)
    return tokenizer


def clip_texts(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], max_tokens: int) -> list[str]:
    """Return ``texts``, those of more than ``max_tokens`` tokens cut after them; see ``protocol.Generator.clip``."""

    def clip(text: str) -> str:
        if len(tokenizer(text)["input_ids"]) <= max_tokens:
            return text
        ids = tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    return [clip(text) for text in texts]


def read_template(setting: str) -> str:
    """Return the Jinja text of a ``chat_template`` setting, read from its file if the setting ends in .jinja.

    Raises SeasDataError if the file cannot be read.
    """
    if not setting.endswith(".jinja"):
        return setting
    try:
        return Path(setting).read_text(encoding="utf-8")
    except OSError as problem:
        raise SeasDataError(
            f"the chat template {setting} cannot be read: {problem.strerror}; check the path"
        ) from problem


def render_conversations(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Sequence[Message]], prompt_format: PromptFormat
) -> list[str]:
    """Return the text of each conversation, rendered by the tokenizer's chat template.

    Raises SeasDataError if the tokenizer has no template or the template rejects the messages.
    """
    require_template(tokenizer)
    from jinja2 import TemplateError

    if not conversations:
        return []
    try:
        return _apply(tokenizer, conversations, prompt_format)
    except TemplateError as problem:
        raise SeasDataError(
            f"the chat template of {tokenizer.name_or_path} rejects the messages: {problem}; set another chat_template"
        ) from problem


def require_template(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Raise SeasDataError if the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        raise SeasDataError(
            f"{tokenizer.name_or_path} has no chat template, as base models do; set chat_template in the recipe"
        )


def _apply(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Sequence[Message]], prompt_format: PromptFormat
) -> list[str]:
    rendered = [[_to_content(message, prompt_format.typed_content) for message in each] for each in conversations]
    return list(
        tokenizer.apply_chat_template(
            rendered,
            tokenize=False,
            add_generation_prompt=prompt_format.generation_prompt,
            **prompt_format.template_kwargs,
        )
    )


def find_refusals(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Sequence[Message]], prompt_format: PromptFormat
) -> list[str | None]:
    """Return why the chat template cannot render the turns of each conversation, None if it can.

    Templates reject some turns, such as those of the system, or leave them out without a word. Each sequence of roles
    other than a user turn, alone or with its answer, is rendered once, with a mark in place of every content.
    """
    found: dict[tuple[str, ...], str | None] = {("user",): None, ("user", "assistant"): None}
    own = prompt_format.own_contents
    reasons = []
    for conversation in conversations:
        roles = tuple(message["role"] for message in conversation)
        if roles not in found:
            marks = [{**each, "content": f"turn{at}mark"} for at, each in enumerate(conversation)]
            marked = [each if each["content"] in own else mark for each, mark in zip(conversation, marks, strict=True)]
            found[roles] = _find_refusal(tokenizer, marked, prompt_format)
        reasons.append(found[roles])
    return reasons


def _find_refusal(
    tokenizer: "PreTrainedTokenizerBase", conversation: Sequence[Message], prompt_format: PromptFormat
) -> str | None:
    from jinja2 import TemplateError

    roles = ", ".join(message["role"] for message in conversation)
    try:
        (text,) = _apply(tokenizer, [conversation], prompt_format)
    except TemplateError as problem:
        return f"the chat template rejects the turns {roles}: {_first_line(problem)}"
    missing = [message["role"] for message in conversation if message["content"].strip() not in text]
    if not missing:
        return None
    return f"the chat template leaves out a turn ({missing[0]}) of the turns {roles}"


def to_typed_content(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the messages with their contents as lists of typed parts."""
    return [_to_content(message, True) for message in messages]


def strip_bos(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """Return ``text`` without its beginning-of-text token if the tokenizer adds that token to every text."""
    bos = tokenizer.bos_token
    if bos and text.startswith(bos) and tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]:
        return text[len(bos) :].lstrip(" ")
    return text


def end_token_ids(tokenizer: "PreTrainedTokenizerBase", configured: object) -> list[int]:
    """Return the token ids that end an answer: those ``configured`` (an id, ids or None), and the template's own.

    A recipe's template may end a turn with a token that is not the base model's end-of-text token; without it,
    generation would run to its limit. It is the token that the template writes right after an answer, if that token is
    special.
    """
    given = configured if isinstance(configured, list) else [configured]
    ids = {token for token in [*given, tokenizer.eos_token_id] if isinstance(token, int)}
    if tokenizer.chat_template:
        from jinja2 import TemplateError

        example = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
        try:
            text = str(tokenizer.apply_chat_template(example, tokenize=False))
        except (TemplateError, TypeError, ValueError):
            text = ""  # a guard's template may require other messages; guards end with their end-of-text token
        after = text.rpartition("answer")[2].strip()
        first = tokenizer(after, add_special_tokens=False)["input_ids"][:1] if after else []
        ids |= set(first) & _special_ids(tokenizer)
    return sorted(ids)


def _special_ids(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    added = {token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | set(tokenizer.all_special_ids)


def _to_content(message: Message, typed: bool) -> dict[str, Any]:
    content = message["content"]
    return {"role": message["role"], "content": [{"type": "text", "text": content}] if typed else content}


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
