"""Control tokens in texts: an untrusted text must not close its own turn and open another one.

A tokenizer reads ``<|eot_id|>`` in a text as the token that ends a turn. For judges, ``tokenize_as_text`` reads the
template's own control tokens as such and those in the contents as plain text. Where a server tokenises,
``neutralise`` puts a blank into each of them.
"""

import re
import sys
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from seas_data.models import chat_template
from seas_data.models.protocol import PromptFormat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TokenIds = NDArray[np.int64]
Conversation = Sequence[chat_template.Message]

_NAMES: Final = (
    r"s|bos|eos|pad|unk|cls|sep|mask|begin|end|start|stop|user|assistant|model|human|bot|agent|system|tool|developer|"
    r"(?:start|end|begin)_of_(?:turn|text|role|image|conversation|sentence)|end_of_utterance|im_start|im_end|eot|eom|"
    r"think|tool_call|tool_response|(?:BEGIN|END) CONVERSATION"
)
_CONTROL: Final = re.compile(
    rf"<(?=[|\uff5c][^<>\n]{{1,60}}[|\uff5c]>|/?(?:{_NAMES})>|/?SYS>>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|"
    r"TOOL_CALLS|TOOL_RESULTS|THINK)\])",
    re.IGNORECASE,
)
_MARKUP: Final = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|<\|.*\|>")
_MASK: Final = "\ue000"


def neutralise(text: str) -> str:
    """Return ``text`` with a blank inside each control token of the common chat templates: ``< |eot_id|>``."""
    return _CONTROL.sub(lambda match: f"{match[0]} ", text)


def neutralise_conversation(messages: Conversation, prompt_format: PromptFormat) -> list[chat_template.Message]:
    """Return ``messages`` with their contents neutralised, but for the judge's own instructions."""
    own = prompt_format.own_contents
    return [
        {**message, "content": message["content"] if message["content"] in own else neutralise(message["content"])}
        for message in messages
    ]


def report(name: str, changed: int, total: int) -> None:
    """Say on standard error how many texts for the model ``name`` were neutralised, if any."""
    if changed:
        print(
            f"{changed} of {total} texts for {name} hold control tokens of chat templates, such as <|eot_id|>; each "
            "got a blank inside, so that it is read as text.",
            file=sys.stderr,
        )


def tokenize_as_text(
    tokenizer: "PreTrainedTokenizerBase", conversations: Sequence[Conversation], prompt_format: PromptFormat
) -> tuple[list[str], list[TokenIds]]:
    """Return the rendered text and the token ids of each conversation; control tokens in contents are read as text.

    Only tokens inside contents change; contents in ``prompt_format.own_contents`` keep theirs. If a template alters
    contents in a way that hides where they are, the contents are neutralised first.
    """
    control = control_token_ids(tokenizer)
    contents = sorted(
        {message["content"] for each in conversations for message in each} - {*prompt_format.own_contents}
    )
    known = control.keys() - {tokenizer.unk_token_id}
    masked = {content: _mask(content, ids, offsets, known) for content, ids, offsets in _encode(tokenizer, contents)}
    texts = chat_template.render_conversations(tokenizer, conversations, prompt_format)
    tokens = [ids for _, ids, _ in _encode(tokenizer, texts)]
    for place, conversation in enumerate(conversations):
        changed = {m["content"] for m in conversation if masked.get(m["content"], m["content"]) != m["content"]}
        if not changed:
            continue
        hidden = [{**m, "content": masked.get(m["content"], m["content"])} for m in conversation]
        (mask,) = chat_template.render_conversations(tokenizer, [hidden], prompt_format)
        found = _read_masked_as_text(tokenizer, texts[place], mask, control)
        if found is None:
            broken = [{**m, "content": _break(m["content"], masked)} for m in conversation]
            texts[place : place + 1] = chat_template.render_conversations(tokenizer, [broken], prompt_format)
            ((_, found, _),) = _encode(tokenizer, [texts[place]])
        tokens[place] = found
    return texts, tokens


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
