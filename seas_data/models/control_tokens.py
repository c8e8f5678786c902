"""Control tokens in texts: an untrusted text must not close its own turn and open another one.

A tokenizer reads ``<|eot_id|>`` in a text as the token that ends a turn. For judges, reward models and training,
``tokenize_as_text`` reads the template's own control tokens as such and those in the contents as plain text. Where a
server tokenises, ``neutralise`` puts a blank into each of them.
"""

import re
from collections.abc import Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seas_data.console import say
from seas_data.models import chat_template
from seas_data.models.protocol import PromptFormat
from seas_data.models.thinking import is_thinking_tag

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TokenIds = NDArray[np.int64]
Conversation = Sequence[chat_template.Message]

NEUTRALISED: Final = "control tokens in the text, each with a blank inside"
"""The note of an answer to a text that was neutralised."""
_NAMES: Final = (
    r"s|bos|eos|pad|unk|cls|sep|mask|begin|end|start|stop|user|assistant|model|human|bot|agent|system|tool|developer|"
    r"(?:start|end|begin)_of_(?:turn|text|role|image|conversation|sentence)|end_of_utterance|im_start|im_end|eot|eom|"
    r"think|tool_call|tool_response|(?:BEGIN|END) (?:CONVERSATION|UNSAFE CONTENT CATEGORIES)|"
    r"unused\d+|extra_id_\d+|fim_(?:prefix|middle|suffix|pad)|image|image_soft_token"
)
_BRACKETED: Final = (
    r"INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK|MODEL_SETTINGS|IMG|"
    r"IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|AUDIO|BEGIN_AUDIO|control_\d+"
)
_CONTROL: Final = re.compile(
    rf"<[|\uff5c][^<>\n]{{1,60}}[|\uff5c]>|</?(?:{_NAMES})>|<</?SYS>>|\[/?(?:{_BRACKETED})\]", re.IGNORECASE
)
_MARKUP: Final = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|<\|.*\|>")
_MASK: Final = "\ue000"


class TokenizedText(NamedTuple):
    """A rendered conversation as a model reads it."""

    text: str
    ids: TokenIds
    control_tokens: bool = False
    """Whether contents hold control tokens, which are read as text."""
    neutralised: bool = False
    """Whether these got a blank inside, because the template hides where the contents are."""


def neutralise(text: str, tokens: Collection[str] = ()) -> str:
    """Return ``text`` with a blank inside (``< |eot_id|>``) each control token of common templates, and ``tokens``."""
    for token in sorted(tokens, key=len, reverse=True):
        text = text.replace(token, _split(token))
    return _CONTROL.sub(lambda match: _split(match[0]), text)


def neutralise_conversation(
    messages: Conversation, prompt_format: PromptFormat, tokens: Collection[str] = ()
) -> list[chat_template.Message]:
    """Return ``messages`` with their contents neutralised, but for the judge's own instructions."""
    own = prompt_format.own_contents
    return [
        {**each, "content": each["content"] if each["content"] in own else neutralise(each["content"], tokens)}
        for each in messages
    ]


def report(name: str, changed: int, total: int) -> None:
    """Say on standard error how many texts for the model ``name`` were neutralised, if any."""
    if changed:
        say(
            f"{changed} of {total} texts for {name} hold control tokens of chat templates, such as <|eot_id|>; each "
            "got a blank inside, so that it is read as text."
        )


def tokenize_as_text(
    tokenizer: "PreTrainedTokenizerBase",
    conversations: Sequence[Conversation],
    prompt_format: PromptFormat,
    thoughts: Collection[str] = (),
) -> list[TokenizedText]:
    """Return the rendered text and the token ids of each conversation; control tokens in contents are read as text.

    Only tokens inside contents change; contents in ``prompt_format.own_contents`` keep theirs. If a template alters
    contents in a way that hides where they are, or the tokenizer does not report where its tokens are, the contents are
    neutralised first. With ``prompt_format.contents_as_text``, so is a marker that the template writes as plain text,
    such as ``<END CONVERSATION>``, because no token tells the template's from that of a content. In the contents
    ``thoughts``, which begin with thinking, the tags of thinking are tokens, because the model is to write these.
    """
    if not tokenizer.is_fast:
        return _tokenize_neutralised(tokenizer, conversations, prompt_format)
    control = control_token_ids(tokenizer)
    given = conversations
    if prompt_format.contents_as_text:
        conversations = [_break_markers(tokenizer, each, prompt_format, {*control.values()}) for each in given]
    contents = sorted(
        {message["content"] for each in conversations for message in each} - {*prompt_format.own_contents}
    )
    known = control.keys() - {tokenizer.unk_token_id}
    tags = {number for number, token in control.items() if is_thinking_tag(token)}
    masked = {
        content: _mask(content, ids, offsets, known - tags if content in thoughts else known)
        for content, ids, offsets in _encode(tokenizer, contents)
    }
    texts = chat_template.render_conversations(tokenizer, conversations, prompt_format)
    broken_markers = [new is not old for new, old in zip(conversations, given, strict=True)]
    result = [
        TokenizedText(text, ids, neutralised=changed)
        for (text, ids, _), changed in zip(_encode(tokenizer, texts), broken_markers, strict=True)
    ]
    for place, conversation in enumerate(conversations):
        if all(masked.get(message["content"], message["content"]) == message["content"] for message in conversation):
            continue
        hidden = [{**m, "content": masked.get(m["content"], m["content"])} for m in conversation]
        (mask,) = chat_template.render_conversations(tokenizer, [hidden], prompt_format)
        found = _read_masked_as_text(tokenizer, texts[place], mask, control)
        if found is not None:
            result[place] = TokenizedText(texts[place], found, True, neutralised=broken_markers[place])
            continue
        broken = [{**m, "content": _break(m["content"], masked)} for m in conversation]
        rendered = chat_template.render_conversations(tokenizer, [broken], prompt_format)
        ((text, ids, _),) = _encode(tokenizer, rendered)
        result[place] = TokenizedText(text, ids, control_tokens=True, neutralised=True)
    return result


def _break_markers(
    tokenizer: "PreTrainedTokenizerBase", conversation: Conversation, prompt_format: PromptFormat, control: Set[str]
) -> Conversation:
    """Return ``conversation`` with a blank inside each marker that its template writes as plain text, if any."""
    found = {marker for each in conversation for marker in _CONTROL.findall(each["content"])} - control
    if not found:
        return conversation
    own = prompt_format.own_contents
    empty = [{**each, "content": each["content"] if each["content"] in own else "x"} for each in conversation]
    (template,) = chat_template.render_conversations(tokenizer, [empty], prompt_format)
    written = {marker.upper() for marker in found if marker.upper() in template.upper()}
    if not written:
        return conversation

    def split(match: re.Match[str]) -> str:
        return _split(match[0]) if match[0].upper() in written else match[0]

    return [
        {**each, "content": each["content"] if each["content"] in own else _CONTROL.sub(split, each["content"])}
        for each in conversation
    ]


def _split(token: str) -> str:
    return f"{token[0]} {token[1:]}"


def _tokenize_neutralised(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Conversation], prompt_format: PromptFormat
) -> list[TokenizedText]:
    neutral = [neutralise_conversation(each, prompt_format) for each in conversations]
    changed = [new != list(old) for new, old in zip(neutral, conversations, strict=True)]
    texts = chat_template.render_conversations(tokenizer, neutral, prompt_format)
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return [
        TokenizedText(text, np.asarray(each, np.int64), each_changed, each_changed)
        for text, each, each_changed in zip(texts, ids, changed, strict=True)
    ]


def control_token_ids(tokenizer: "PreTrainedTokenizerBase") -> dict[int, str]:
    """Return the tokenizer's control tokens: its special tokens, and added tokens that are written as markup."""
    added: Mapping[int, Any] = tokenizer.added_tokens_decoder
    found = {number: str(token) for number, token in added.items() if token.special or _MARKUP.fullmatch(str(token))}
    return found | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))


def _read_masked_as_text(
    tokenizer: "PreTrainedTokenizerBase", text: str, mask: str, control: Mapping[int, str]
) -> TokenIds | None:
    """Return the ids of ``text`` with control tokens as text where ``mask`` covers them; None if that is unclear."""
    if len(mask) != len(text) or any(a != b and b != _MASK for a, b in zip(text, mask, strict=True)):
        return None
    ((_, ids, offsets),) = _encode(tokenizer, [text])
    result: list[int] = []
    for number, (start, end) in zip(ids.tolist(), offsets, strict=True):
        covered = any(text[at] != mask[at] for at in range(start, end))
        result += _as_text(tokenizer, text[start:end], control) if covered and number in control else [number]
    ((_, template, _),) = _encode(tokenizer, [mask])
    known = control.keys() - {tokenizer.unk_token_id}
    own = [number for number in template.tolist() if number in known]
    left = [number for number in result if number in known]
    return np.asarray(result, np.int64) if own == left else None


def _as_text(tokenizer: "PreTrainedTokenizerBase", text: str, control: Mapping[int, str]) -> list[int]:
    """Return the ids of a control token's text, read as plain text."""
    unknown = tokenizer.unk_token_id
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    if not any(number in control and number != unknown for number in ids):
        return ids
    text = text.strip()
    pieces = tokenizer([text[:1], text[1:]], add_special_tokens=False)["input_ids"]
    return [number for piece in pieces for number in piece]


def _mask(content: str, ids: TokenIds, offsets: Sequence[tuple[int, int]], control: Set[int]) -> str:
    """Return ``content`` with the visible characters of its control tokens replaced by a private character."""
    if control.isdisjoint(ids.tolist()):
        return content
    characters = list(content)
    for number, (start, end) in zip(ids.tolist(), offsets, strict=True):
        if number in control:
            characters[start:end] = [each if each.isspace() else _MASK for each in content[start:end]]
    return "".join(characters)


def _break(content: str, masked: Mapping[str, str]) -> str:
    """Return ``content`` with a blank after the first character of each masked run."""
    mask = masked.get(content, content)
    pieces = []
    for place, character in enumerate(content):
        starts = mask[place] != character and (place == 0 or mask[place - 1] == content[place - 1])
        pieces.append(f"{character} " if starts else character)
    return "".join(pieces)


def _encode(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]
) -> list[tuple[str, TokenIds, list[tuple[int, int]]]]:
    """Return each text with its token ids and their positions in the text."""
    found = []
    for start in range(0, len(texts), 4096):
        part = list(texts[start : start + 4096])
        encoded = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
        for text, ids, offsets in zip(part, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            found.append((text, np.asarray(ids, np.int64), [(int(a), int(b)) for a, b in offsets]))
    return found
