"""A model behind a server: vLLM, SGLang, TGI, llama.cpp, transformers serve, or a hosted one that speaks OpenAI's form.

Many requests are under way at once, and they are stored in parts of a few dozen. A server draws as it likes (its
batches differ from run to run), so a run's rows are what it gave, kept; rows that it lost are in the answer as failed
ones but not stored, and the next run asks for them again. Each request asks for all its samples; a server that gives
fewer is asked again for the rest, and one that refuses to give several is asked for one at a time.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.models import chat
from seas_data.models import generation_cache as parts
from seas_data.models import token_probability as deciding
from seas_data.models.protocol import ANSWERS, Asking, Sampling, check_requests
from seas_data.models.retry import AWAY, Failed, Line
from seas_data.progress import bar
from seas_data.recipe import ModelHttp
from seas_data.text import content_id

PART_ROWS: Final = 64
"""Requests of a part: what a killed run may lose, and what is open at once beside those under way."""
LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_STOPPED: Final = {None, "stop", "eos", "eos_token", "stop_sequence", "end_turn"}
_CUT: Final = {"length", "max_tokens"}
_SAID: Final = ("id", "root", "owned_by", "max_model_len")


@dataclass(frozen=True)
class _Request:
    request_id: str
    key: str
    body: dict[str, Any]


class OverHttp:
    """A served model that answers requests."""

    def __init__(
        self,
        name: str,
        settings: ModelHttp,
        url: str,
        *,
        checkpoint_digest: str | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.settings, self.url = name, settings, url.rstrip("/")
        self._checkpoint_digest, self._alive = checkpoint_digest, alive
        self._secret = _key(settings.key_variable)
        self._one_at_a_time = False

    @cached_property
    def digest(self) -> str:
        """Of the served checkpoint where it is known, else a hash of the model's name and what the server says of it.

        Waits for a server that is away, as long as the settings have patience.
        """
        return self._checkpoint_digest or content_id("served model", self.settings.model, self._what_it_says())

    @property
    def how(self) -> dict[str, Any]:
        """The form of its requests, and what the recipe adds to them."""
        return {"form": self.settings.form, "options": self.settings.options}

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        asking: Asking | None = None,
    ) -> pl.DataFrame:
        """Answer each request ``samples`` times, as ``protocol.Generator`` has it.

        Raises SeasDataError if the server stays away, refuses the key or knows no such model.
        """
        asking = asking or Asking()
        asked = self._requests(requests, sampling, asking)
        batches = [asked[start : start + PART_ROWS] for start in range(0, len(asked), PART_ROWS)]
        kind = f"{self.digest} {self.settings.form} {json.dumps(self.settings.options, sort_keys=True)} {samples}"
        names = [parts.key(kind, sampling, asking, [request.key for request in batch]) for batch in batches]
        stored = {name: rows for name in names if (rows := parts.read(folder, name)) is not None}
        missing = [(name, batch) for name, batch in zip(names, batches, strict=True) if name not in stored]
        with bar(len(asked) * samples, label, "answers") as progress:
            progress.update(sum(rows.height for rows in stored.values()))
            work = self._all(missing, samples, sampling, asking, folder, progress.update)
            answers = parts.together([*stored.values(), *asyncio.run(work)])
        if sampling.temperature > 0 and samples > 1 and _all_alike(answers):
            print(
                f"The server at {self.url} gave each request the same text {samples} times: it does not draw; "
                "see docs/judges.md, Servers.",
                file=sys.stderr,
            )
        return answers

    async def _all(
        self,
        batches: Sequence[tuple[str, Sequence[_Request]]],
        samples: int,
        sampling: Sampling,
        asking: Asking,
        folder: Path,
        done: Callable[[int], object],
    ) -> list[pl.DataFrame]:
        """Return the answers to all batches, each stored as soon as it is whole."""
        settings = self.settings
        open_parts = asyncio.Semaphore(-(-settings.concurrency // PART_ROWS) + 1)

        async def part(line: Line, name: str, batch: Sequence[_Request]) -> pl.DataFrame:
            async with open_parts:
                rows = await asyncio.gather(*(self._row(line, request, samples, sampling, asking) for request in batch))
            frame = pl.DataFrame([row for lot, _ in rows for row in lot], ANSWERS, orient="row")
            if all(kept for _, kept in rows):
                await asyncio.to_thread(parts.write, folder, name, frame)
            done(frame.height)
            return frame

        async with self._client() as client:
            line = Line(client, self.url, settings.concurrency, settings.patience, self._secret, self._alive)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(part(line, name, batch)) for name, batch in batches]
            except BaseExceptionGroup as problems:
                raise problems.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _row(
        self, line: Line, request: _Request, samples: int, sampling: Sampling, asking: Asking
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the request's rows, and whether they are worth keeping (the server lost none of them)."""
        path = "/chat/completions" if self.settings.form == "chat" else "/completions"
        rows: list[tuple[Any, ...]] = []
        refused_several = False
        while len(rows) < samples:
            wanted = 1 if self._one_at_a_time or refused_several else samples - len(rows)
            body = request.body | ({"n": wanted} if wanted > 1 else {})
            if sampling.temperature > 0 and "seed" not in self.settings.options:
                body["seed"] = parts.seed(sampling, [request.request_id, str(len(rows))])
            reply = await line.post(path, body)
            if isinstance(reply, Failed) and reply.refused and wanted > 1:
                refused_several = True
                continue
            if isinstance(reply, Failed):
                rows += [_failed(request, n, reply.reason) for n in range(len(rows), samples)]
                return rows, reply.refused
            self._one_at_a_time |= refused_several
            rows += _read(request, len(rows), reply, wanted, asking)
        return rows, True

    def _requests(self, requests: pl.DataFrame, sampling: Sampling, asking: Asking) -> list[_Request]:
        column, settings = check_requests(requests), self.settings
        requests = requests.sort("request_id")
        asked = requests[column].to_list()
        if column == "text" and settings.form == "chat":
            raise SeasDataError(f"{self.name} is asked with bare texts, which needs form: completion")
        field = "messages" if settings.form == "chat" else "prompt"
        if column == "messages" and settings.form == "completion":
            source = settings.tokenizer or settings.model
            tokenizer = chat.load_tokenizer(source, template=settings.chat_template)
            asked = [chat.without_begin(tokenizer, text) for text in chat.render(tokenizer, asked, asking)]
        elif column == "messages" and asking.as_parts:
            asked = [chat.content_parts(messages) for messages in asked]
        common: dict[str, Any] = {
            "model": settings.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
        }
        if asking.template and settings.form == "chat":
            common["chat_template_kwargs"] = dict(asking.template)
        if asking.decision is not None:
            common |= {"logprobs": True, "top_logprobs": 20} if settings.form == "chat" else {"logprobs": 5}
        bodies = [
            {name: value for name, value in (common | {field: what} | settings.options).items() if value is not None}
            for what in asked
        ]
        contents = [what if isinstance(what, str) else json.dumps(what) for what in asked]
        return [
            _Request(request_id, parts.row_key(request_id, 0, content), body)
            for request_id, content, body in zip(requests["request_id"], contents, bodies, strict=True)
        ]

    def _client(self) -> httpx.AsyncClient:
        settings = self.settings
        return httpx.AsyncClient(
            timeout=httpx.Timeout(settings.timeout, connect=30, pool=None),
            limits=httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency),
            headers=self._headers(),
            trust_env=urlsplit(self.url).hostname not in LOCAL,  # no proxy between this machine and itself
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"} if self._secret else {}

    def _what_it_says(self) -> str:
        """Return what the server's list of models says of this one; nothing if it has no such list."""
        deadline = time.monotonic() + self.settings.patience
        local = urlsplit(self.url).hostname in LOCAL
        while True:
            try:
                reply = httpx.get(f"{self.url}/models", headers=self._headers(), timeout=30, trust_env=not local)
                if reply.status_code not in AWAY:
                    break
                reason = f"status {reply.status_code}"
            except httpx.TransportError as problem:
                reason = type(problem).__name__
            if time.monotonic() > deadline:
                raise SeasDataError(f"no server answers at {self.url} ({reason}); start it, or see url")
            self._alive()
            time.sleep(0.5)
        try:
            listed = [entry for entry in reply.json()["data"] if entry["id"] == self.settings.model]
        except (ValueError, KeyError, TypeError):  # no list, no JSON, or no text at all
            return ""
        return json.dumps([{name: entry.get(name) for name in _SAID} for entry in listed[:1]])


def _all_alike(answers: pl.DataFrame) -> bool:
    """Return whether each of at least five requests got one text alone, however often it was asked."""
    texts = answers.drop_nulls("text").group_by("request_id").agg(pl.len(), pl.col("text").n_unique())
    several = texts.filter(pl.col("len") > 1)
    return several.height >= 5 and bool((several["text"] == 1).all())


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise SeasDataError(f"the environment variable {variable} should hold the server's key, and is not set")
    return os.environ[variable]


def _failed(request: _Request, sample: int, reason: str) -> tuple[Any, ...]:
    return request.request_id, sample, None, "error", None, reason, None


def _read(request: _Request, first: int, reply: dict[str, Any], most: int, asking: Asking) -> list[tuple[Any, ...]]:
    """Return the rows of a reply, numbered from ``first`` on, at least one: what is not as it should be is failed."""
    choices, usage = reply.get("choices"), reply.get("usage")
    if not isinstance(choices, list) or not choices:
        return [_failed(request, first, "a reply without choices")]
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) and len(choices) == 1 else None
    return [_row_of(request, first + n, choice, tokens, asking) for n, choice in enumerate(choices[:most])]


def _row_of(request: _Request, sample: int, choice: Any, tokens: Any, asking: Asking) -> tuple[Any, ...]:
    choice = choice if isinstance(choice, dict) else {}
    message, reason = choice.get("message"), choice.get("finish_reason")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if not isinstance(text, str):
        return _failed(request, sample, f"no text (finish reason {reason})")
    if reason not in _STOPPED | _CUT:
        return _failed(request, sample, f"finish reason {reason}")
    score = None if asking.decision is None else deciding.score_of_choice(asking.decision, choice)
    count = tokens if isinstance(tokens, int) else None
    return request.request_id, sample, text, "length" if reason in _CUT else "stop", count, None, score
