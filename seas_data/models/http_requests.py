"""Requests of the HTTP backend: bodies from messages or texts, with control tokens in untrusted contents made harmless.

For ``endpoint: completions`` the chat template is rendered in this process. Contents with control tokens are sent as
token ids, in which these are plain text; a server that does not accept token ids gets a text in which each control
token has a blank inside. For ``endpoint: chat`` the server tokenises, so every such content is sent that way.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.models import chat_template, control_tokens, generation_cache
from seas_data.models.chat_template import Message
from seas_data.models.protocol import NO_LIMIT, PromptFormat, Sampling, get_content_column
from seas_data.models.thinking import opens_thinking
from seas_data.recipe import ModelHttp


@dataclass(frozen=True)
class Request:
    """One request of a frame of requests."""

    request_id: str
    text: str
    """The content that is sent, as text: a part of the keys of its answers."""
    body: dict[str, Any]
    note: str | None = None
    """What was changed in the request's text."""
    without_ids: "Request | None" = None
    """If the body has token ids: the same request as text, for a server that does not accept them."""
    refused: str | None = None
    """Why the request is not sent: the chat template cannot render its turns."""
    opened: bool = False
    """Whether the chat template opened thinking at the end of the request."""

    def row_key(self, sample: int) -> str:
        """Return the key of the answer ``sample`` in the cache, from which its seed follows."""
        return generation_cache.row_key(self.request_id, sample, self.text)


@dataclass(frozen=True)
class _Prompt:
    """The content of a request: messages, a text or token ids. The other fields are those of ``Request``."""

    content: Any
    note: str | None = None
    without_ids: "_Prompt | None" = None
    refused: str | None = None
    opened: bool = False


def create_requests(
    name: str, settings: ModelHttp, requests: pl.DataFrame, sampling: Sampling, prompt_format: PromptFormat
) -> list[Request]:
    """Return the requests to the model ``name``, sorted by id, without their numbers and seeds of samples.

    Input columns: ``request_id`` (unique), and either ``messages`` or ``text``.

    Raises SeasDataError if the endpoint cannot carry the requests.
    """
    column = get_content_column(requests)
    requests = requests.sort("request_id")
    contents = requests[column].to_list()
    if settings.endpoint == "moderations" and column != "text":
        raise SeasDataError(f"{name} has endpoint: moderations, which generates nothing; name another model")
    if column == "text" and settings.endpoint == "chat":
        raise SeasDataError(f"{name} is sent bare texts, which a chat cannot carry; set endpoint: completions")
    if column == "messages" and settings.endpoint == "completions":
        prompts = _render(settings, contents, prompt_format)
    elif column == "messages":
        prompts = _to_chats(name, contents, prompt_format)
    else:
        prompts = [_Prompt(text) for text in contents]
    field = {"chat": "messages", "completions": "prompt", "moderations": "input"}[settings.endpoint]
    common = _common_fields(settings, sampling, prompt_format)

    def to_request(request_id: str, prompt: _Prompt) -> Request:
        content = prompt.content
        body = common | {field: content} | settings.extra_body
        text = content if isinstance(content, str) else json.dumps(content)
        return Request(
            request_id,
            text,
            {key: value for key, value in body.items() if value is not None},
            prompt.note,
            None if prompt.without_ids is None else to_request(request_id, prompt.without_ids),
            prompt.refused,
            prompt.opened,
        )

    return [to_request(*each) for each in zip(requests["request_id"], prompts, strict=True)]


def _common_fields(settings: ModelHttp, sampling: Sampling, prompt_format: PromptFormat) -> dict[str, Any]:
    """Return what the bodies of all requests have in common."""
    if settings.endpoint == "moderations":
        return {"model": settings.model}
    fields: dict[str, Any] = {
        "model": settings.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if sampling.max_new_tokens != NO_LIMIT:
        fields["max_tokens"] = sampling.max_new_tokens
    if prompt_format.template_kwargs and settings.endpoint == "chat":
        fields["chat_template_kwargs"] = dict(prompt_format.template_kwargs)
    if prompt_format.verdict_tokens is not None:
        fields |= {"logprobs": True, "top_logprobs": 20} if settings.endpoint == "chat" else {"logprobs": 5}
    return fields


def _render(settings: ModelHttp, conversations: Sequence[list[Message]], prompt_format: PromptFormat) -> list[_Prompt]:
    """Return the rendered text of each conversation, or its token ids if contents hold control tokens as text."""
    tokenizer = chat_template.load_tokenizer(settings.tokenizer or settings.model, template=settings.chat_template)
    chat_template.require_template(tokenizer)
    refusals = chat_template.find_refusals(tokenizer, conversations, prompt_format)
    rendered = iter(
        _render_all(
            tokenizer, [c for c, why in zip(conversations, refusals, strict=True) if why is None], prompt_format
        )
    )
    return [
        next(rendered) if why is None else _Prompt(list(each), refused=why)
        for each, why in zip(conversations, refusals, strict=True)
    ]


def _render_all(tokenizer: Any, conversations: Sequence[list[Message]], prompt_format: PromptFormat) -> list[_Prompt]:

    def to_text(text: str, conversation: list[Message], changed: bool) -> _Prompt:
        opened = opens_thinking(text, conversation[-1]["content"])
        return _Prompt(chat_template.strip_bos(tokenizer, text), _note(changed), opened=opened)

    if not prompt_format.contents_as_text:
        texts = chat_template.render_conversations(tokenizer, conversations, prompt_format)
        return [to_text(text, each, False) for text, each in zip(texts, conversations, strict=True)]
    read = control_tokens.tokenize_as_text(tokenizer, conversations, prompt_format)
    own_tokens = control_tokens.control_token_ids(tokenizer).values()
    neutral = [
        control_tokens.neutralise_conversation(each, prompt_format, own_tokens)
        for each, found in zip(conversations, read, strict=True)
        if found.control_tokens
    ]
    neutral_texts = zip(chat_template.render_conversations(tokenizer, neutral, prompt_format), neutral, strict=True)
    return [
        _Prompt(
            each.ids.tolist(),
            _note(each.neutralised),
            to_text(*next(neutral_texts), True),
            opened=opens_thinking(each.text, conversation[-1]["content"]),
        )
        if each.control_tokens
        else to_text(each.text, conversation, each.neutralised)
        for each, conversation in zip(read, conversations, strict=True)
    ]


def _to_chats(name: str, conversations: Sequence[list[Message]], prompt_format: PromptFormat) -> list[_Prompt]:
    """Return the messages of each conversation, with neutralised contents if these are to be read as text."""
    changed = [False] * len(conversations)
    if prompt_format.contents_as_text:
        neutral = [control_tokens.neutralise_conversation(each, prompt_format) for each in conversations]
        changed = [new != old for new, old in zip(neutral, conversations, strict=True)]
        control_tokens.report(name, sum(changed), len(changed))
        conversations = neutral
    to_content = chat_template.to_typed_content if prompt_format.typed_content else list
    return [_Prompt(to_content(each), _note(new)) for each, new in zip(conversations, changed, strict=True)]


def _note(changed: bool) -> str | None:
    return control_tokens.NEUTRALISED if changed else None
