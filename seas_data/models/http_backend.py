"""HTTP backend: generation by a server with OpenAI's API (vLLM, SGLang, TGI, llama.cpp, transformers serve, hosted).

Many requests are under way at once, and their answers are cached in batches of a few dozen. A server's samples differ
from run to run, so the cached answers are the record of a run. Requests that the server lost are returned as failed
rows but not cached, so the next run sends them again. Each request asks for all its samples; if a server returns fewer,
the rest is requested again, and if it refuses several, they are requested one at a time. ``http_retry`` has the retry
policy.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.models import chat_template, control_tokens, generation_cache, http_retry, token_probability
from seas_data.models.http_retry import FailedRequest, RetryingClient, ServerUnavailableError
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling, get_content_column
from seas_data.progress import bar
from seas_data.recipe import ModelHttp
from seas_data.text import content_id

BATCH_ROWS: Final = 64
"""Requests in a cached batch: the most that a killed run loses, beside those under way."""
LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_STOP_REASONS: Final = {None, "stop", "eos", "eos_token", "stop_sequence", "end_turn"}
_LENGTH_REASONS: Final = {"length", "max_tokens"}
_MODEL_FIELDS: Final = ("id", "root", "owned_by", "max_model_len")


@dataclass(frozen=True)
class _Request:
    request_id: str
    key: str
    body: dict[str, Any]


class HttpBackend:
    """A model behind a server."""

    def __init__(
        self,
        name: str,
        settings: ModelHttp,
        url: str,
        *,
        checkpoint_digest: str | None = None,
        check_alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.settings, self.url = name, settings, url.rstrip("/")
        self._checkpoint_digest, self._check_alive = checkpoint_digest, check_alive
        self._secret = _read_key(settings.api_key_env)
        self._one_at_a_time = False

    @cached_property
    def digest(self) -> str:
        """The digest of the served checkpoint if known, else a hash of the model's name and the server's description.

        Waits up to ``max_wait_seconds`` for a server that is unavailable.
        """
        return self._checkpoint_digest or content_id("served model", self.settings.model, self._describe_model())

    @property
    def backend_settings(self) -> dict[str, Any]:
        """The endpoint, and the fields that the recipe adds to the body of each request."""
        return {"endpoint": self.settings.endpoint, "extra_body": self.settings.extra_body}

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        prompt_format: PromptFormat | None = None,
    ) -> pl.DataFrame:
        """Answer each request ``samples`` times; see ``protocol.Generator``.

        Raises SeasDataError if the server stays unavailable, refuses the key or does not have the model.
        """
        prompt_format = prompt_format or PromptFormat()
        pending = self._to_requests(requests, sampling, prompt_format)
        batches = [pending[start : start + BATCH_ROWS] for start in range(0, len(pending), BATCH_ROWS)]
        model = (
            f"{self.digest} {self.settings.endpoint} {json.dumps(self.settings.extra_body, sort_keys=True)} {samples}"
        )
        keys = [
            generation_cache.batch_key(model, sampling, prompt_format, [row.key for row in each]) for each in batches
        ]
        stored = {key: rows for key in keys if (rows := generation_cache.read_batch(folder, key)) is not None}
        missing = [(key, batch) for key, batch in zip(keys, batches, strict=True) if key not in stored]
        with bar(len(pending) * samples, label, "answers") as progress:
            progress.update(sum(rows.height for rows in stored.values()))
            work = self._answer_batches(missing, samples, sampling, prompt_format, folder, progress.update)
            answers = generation_cache.concat_batches([*stored.values(), *asyncio.run(work)])
        if sampling.temperature > 0 and samples > 1 and _samples_are_equal(answers):
            print(
                f"The server at {self.url} gave each request the same text {samples} times, so it does not sample; "
                "see docs/judges.md, Servers.",
                file=sys.stderr,
            )
        return answers

    async def _answer_batches(
        self,
        batches: Sequence[tuple[str, Sequence[_Request]]],
        samples: int,
        sampling: Sampling,
        prompt_format: PromptFormat,
        folder: Path,
        on_done: Callable[[int], object],
    ) -> list[pl.DataFrame]:
        """Return the answers to all batches, each stored as soon as it is complete."""
        settings = self.settings
        open_batches = asyncio.Semaphore(-(-settings.concurrency // BATCH_ROWS) + 1)

        async def answer_batch(client: RetryingClient, key: str, batch: Sequence[_Request]) -> pl.DataFrame:
            async with open_batches:
                answers = await asyncio.gather(
                    *(self._answer(client, request, samples, sampling, prompt_format) for request in batch)
                )
            frame = pl.DataFrame([row for rows, _ in answers for row in rows], ANSWER_SCHEMA, orient="row")
            if all(complete for _, complete in answers):
                await asyncio.to_thread(generation_cache.write_batch, folder, key, frame)
            on_done(frame.height)
            return frame

        async with self._client() as http_client:
            client = RetryingClient(
                http_client,
                self.url,
                concurrency=settings.concurrency,
                max_wait_seconds=settings.max_wait_seconds,
                secret=self._secret,
                check_alive=self._check_alive,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(answer_batch(client, key, batch)) for key, batch in batches]
            except BaseExceptionGroup as problems:
                raise problems.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer(
        self, client: RetryingClient, request: _Request, samples: int, sampling: Sampling, prompt_format: PromptFormat
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the request's rows, and whether they are complete (the server lost none of them)."""
        path = "/chat/completions" if self.settings.endpoint == "chat" else "/completions"
        rows: list[tuple[Any, ...]] = []
        refused_several = False
        while len(rows) < samples:
            count = 1 if self._one_at_a_time or refused_several else samples - len(rows)
            body = request.body | ({"n": count} if count > 1 else {})
            if sampling.temperature > 0 and "seed" not in self.settings.extra_body:
                body["seed"] = generation_cache.batch_seed(sampling, [request.request_id, str(len(rows))])
            reply = await client.post(path, body)
            if isinstance(reply, FailedRequest) and reply.refused and count > 1:
                refused_several = True
                continue
            if isinstance(reply, FailedRequest):
                rows += [_failed_row(request, n, reply.reason) for n in range(len(rows), samples)]
                return rows, reply.refused
            self._one_at_a_time |= refused_several
            rows += _read_reply(request, len(rows), reply, count, prompt_format)
        return rows, True

    def _to_requests(self, requests: pl.DataFrame, sampling: Sampling, prompt_format: PromptFormat) -> list[_Request]:
        column, settings = get_content_column(requests), self.settings
        requests = requests.sort("request_id")
        contents = requests[column].to_list()
        if column == "text" and settings.endpoint == "chat":
            raise SeasDataError(f"{self.name} is sent bare texts, which a chat cannot carry; set endpoint: completions")
        if column == "messages" and prompt_format.contents_as_text:
            contents = self._neutralise(contents, prompt_format)
        field = "messages" if settings.endpoint == "chat" else "prompt"
        if column == "messages" and settings.endpoint == "completions":
            source = settings.tokenizer or settings.model
            tokenizer = chat_template.load_tokenizer(source, template=settings.chat_template)
            texts = chat_template.render_conversations(tokenizer, contents, prompt_format)
            contents = [chat_template.strip_bos(tokenizer, text) for text in texts]
        elif column == "messages" and prompt_format.typed_content:
            contents = [chat_template.to_typed_content(messages) for messages in contents]
        common: dict[str, Any] = {
            "model": settings.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
        }
        if prompt_format.template_kwargs and settings.endpoint == "chat":
            common["chat_template_kwargs"] = dict(prompt_format.template_kwargs)
        if prompt_format.verdict_tokens is not None:
            common |= {"logprobs": True, "top_logprobs": 20} if settings.endpoint == "chat" else {"logprobs": 5}
        bodies = [
            {name: value for name, value in (common | {field: each} | settings.extra_body).items() if value is not None}
            for each in contents
        ]
        texts = [each if isinstance(each, str) else json.dumps(each) for each in contents]
        return [
            _Request(request_id, generation_cache.row_key(request_id, 0, text), body)
            for request_id, text, body in zip(requests["request_id"], texts, bodies, strict=True)
        ]

    def _neutralise(
        self, conversations: list[list[chat_template.Message]], prompt_format: PromptFormat
    ) -> list[list[chat_template.Message]]:
        """Return the conversations with neutralised contents, and say how many changed."""
        neutral = [control_tokens.neutralise_conversation(each, prompt_format) for each in conversations]
        changed = sum(before != after for before, after in zip(conversations, neutral, strict=True))
        control_tokens.report(self.name, changed, len(neutral))
        return neutral

    def _client(self) -> httpx.AsyncClient:
        settings = self.settings
        return httpx.AsyncClient(
            timeout=httpx.Timeout(settings.timeout_seconds, connect=30, pool=None),
            limits=httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency),
            headers=self._headers(),
            trust_env=self._is_remote(),
        )

    def _is_remote(self) -> bool:
        """Return whether the server is on another machine: only then are the environment's proxies used."""
        return urlsplit(self.url).hostname not in LOCAL_HOSTS

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"} if self._secret else {}

    def _describe_model(self) -> str:
        """Return the entry of this model in the server's list of models; an empty text if there is no such entry."""
        try:
            reply = http_retry.get(
                f"{self.url}/models",
                max_wait_seconds=self.settings.max_wait_seconds,
                headers=self._headers(),
                trust_env=self._is_remote(),
                check_alive=self._check_alive,
            )
        except ServerUnavailableError as problem:
            raise SeasDataError(f"no server answers at {self.url} ({problem}); start it or correct url") from problem
        try:
            listed = [entry for entry in reply.json()["data"] if entry["id"] == self.settings.model]
        except (ValueError, KeyError, TypeError):  # no list, not JSON, or not text at all
            return ""
        return json.dumps([{name: entry.get(name) for name in _MODEL_FIELDS} for entry in listed[:1]])


def _samples_are_equal(answers: pl.DataFrame) -> bool:
    """Return whether all samples of each request have the same text, over at least five requests."""
    texts = answers.drop_nulls("text").group_by("request_id").agg(pl.len(), pl.col("text").n_unique())
    several = texts.filter(pl.col("len") > 1)
    return several.height >= 5 and bool((several["text"] == 1).all())


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise SeasDataError(f"the environment variable {variable} (api_key_env) is not set; set it to the server's key")
    return os.environ[variable]


def _failed_row(request: _Request, sample: int, reason: str) -> tuple[Any, ...]:
    return request.request_id, sample, None, "error", None, reason, None


def _read_reply(
    request: _Request, first: int, reply: dict[str, Any], count: int, prompt_format: PromptFormat
) -> list[tuple[Any, ...]]:
    """Return the rows of a reply, ``count`` at most and one at least, numbered from ``first``; failed if malformed."""
    choices, usage = reply.get("choices"), reply.get("usage")
    if not isinstance(choices, list) or not choices:
        return [_failed_row(request, first, "a reply without choices")]
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) and len(choices) == 1 else None
    return [_read_choice(request, first + n, choice, tokens, prompt_format) for n, choice in enumerate(choices[:count])]


def _read_choice(
    request: _Request, sample: int, choice: Any, tokens: Any, prompt_format: PromptFormat
) -> tuple[Any, ...]:
    choice = choice if isinstance(choice, dict) else {}
    message, reason = choice.get("message"), choice.get("finish_reason")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if not isinstance(text, str):
        return _failed_row(request, sample, f"no text (finish reason {reason})")
    if reason not in _STOP_REASONS | _LENGTH_REASONS:
        return _failed_row(request, sample, f"finish reason {reason}")
    verdict_tokens = prompt_format.verdict_tokens
    score = None if verdict_tokens is None else token_probability.compute_choice_score(verdict_tokens, choice)
    count = tokens if isinstance(tokens, int) else None
    return request.request_id, sample, text, "length" if reason in _LENGTH_REASONS else "stop", count, None, score
