"""HTTP backend: generation by a server with OpenAI's API (vLLM, SGLang, TGI, llama.cpp, transformers serve, hosted).

Many requests are under way at once, and their answers are cached in batches of a few dozen. A server's samples differ
from run to run, so the cached answers are the record of a run. Failed requests are returned as rows but not cached, so
the next run sends them again; a batch without any text is not cached. Each request asks for all its samples; if a
server returns fewer, the rest is requested again, and if it refuses several, they are requested one at a time.
``http_outcomes`` says what a reply means, ``http_retry`` has the retry policy, docs/servers.md both as tables.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.models import (
    chat_template,
    generation_cache,
    http_outcomes,
    http_retry,
    moderations,
    token_probability,
)
from seas_data.models.http_outcomes import Choice
from seas_data.models.http_requests import Request, create_requests
from seas_data.models.http_retry import Deadline, FailedRequest, RetryingClient, ServerUnavailableError, hide_password
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling
from seas_data.models.thinking import split_thinking
from seas_data.progress import bar
from seas_data.recipe import ModelHttp
from seas_data.redact import redact_options
from seas_data.sources.raw_rows import InvalidLineError
from seas_data.text import content_id

BATCH_ROWS: Final = 64
"""Requests in a cached batch: the most that a killed run loses, beside those under way."""
LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_PATHS: Final = {"chat": "/chat/completions", "completions": "/completions", "moderations": "/moderations"}
_MODEL_FIELDS: Final = ("id", "root", "owned_by", "max_model_len")


def _store(requests: Sequence[Request], folder: Path, key: str, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Store those of the new ``rows`` of ``requests`` that did not fail; return all of them."""
    new = pl.DataFrame(rows, ANSWER_SCHEMA, orient="row")
    done = new.filter(pl.col("finish_reason") != "error").sort("request_id", "sample")
    if done["text"].count():  # without any text, the server itself may be at fault
        by_id = {request.request_id: request for request in requests}
        keys = [by_id[name].row_key(sample) for name, sample in done.select("request_id", "sample").rows()]
        generation_cache.write_batch(folder, key, keys, done)
    return new


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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        deadline: Deadline = asyncio.timeout,
    ) -> None:
        self.name, self.settings, self.url = name, settings, url.rstrip("/")
        self._checkpoint_digest, self._check_alive = checkpoint_digest, check_alive
        self._sleep, self._clock, self._deadline = sleep, clock, deadline
        self._secret = _read_key(settings.api_key_env)
        self._one_at_a_time = False
        self._other_models: set[str] = set()
        self._accepts_ids: bool | None = None

    @cached_property
    def digest(self) -> str:
        """The digest of the served checkpoint if known, else a hash of the model's name and the server's description.

        Waits up to ``max_wait_seconds`` for a server that is unavailable.
        """
        return self._checkpoint_digest or content_id("served model", self.settings.model, self._describe_model())

    @property
    def backend_settings(self) -> dict[str, Any]:
        """The endpoint, the fields that the recipe adds to each request, and other keys of the model that it sets."""
        settings = self.settings
        kept = {} if settings.thinking == "split" else {"thinking": settings.thinking}
        tokenizer = {} if settings.tokenizer is None else redact_options({"tokenizer": settings.tokenizer})
        template = chat_template.template_settings(settings.chat_template)
        extra = redact_options(settings.extra_body)
        return {"endpoint": settings.endpoint, "extra_body": extra} | kept | tokenizer | template

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
        pending = create_requests(self.name, self.settings, requests, sampling, prompt_format)
        extra = json.dumps(self.settings.extra_body, sort_keys=True)
        model = f"{self.digest} {self.settings.endpoint} {extra} {self.settings.thinking}"
        settings = generation_cache.settings_key(model, sampling, prompt_format)
        keys = [request.row_key(sample) for request in pending for sample in range(samples)]
        cached = generation_cache.read_answers(folder, settings, keys)
        stored: dict[str, set[int]] = {}
        for request_id, sample in cached.select("request_id", "sample").rows():
            stored.setdefault(request_id, set()).add(sample)
        batches = [pending[start : start + BATCH_ROWS] for start in range(0, len(pending), BATCH_ROWS)]
        with bar(len(pending) * samples, label, "answers") as progress:
            progress.update(cached.height)
            answered = asyncio.run(
                self._answer_batches(
                    batches, stored, samples, sampling, prompt_format, folder, settings, progress.update
                )
            )
            answers = generation_cache.concat_batches([cached, *answered])
        if sampling.temperature > 0 and samples > 1 and _samples_are_equal(answers):
            say(
                f"The server at {hide_password(self.url)} gave each request the same text {samples} times, so it does "
                "not sample; see docs/servers.md."
            )
        return answers

    def clip(self, texts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return ``texts``, each cut after ``max_tokens`` tokens of the model's ``tokenizer``, or None without one."""
        if self.settings.tokenizer is None:
            return None
        return chat_template.clip_texts(chat_template.load_tokenizer(self.settings.tokenizer), texts, max_tokens)

    async def _answer_batches(
        self,
        batches: Sequence[Sequence[Request]],
        stored: Mapping[str, set[int]],
        samples: int,
        sampling: Sampling,
        prompt_format: PromptFormat,
        folder: Path,
        key: str,
        on_done: Callable[[int], object],
    ) -> list[pl.DataFrame]:
        """Return the new answers to all batches. Those of a batch are stored when it is complete or the run ends.

        ``stored``: the samples of each request that need not be asked for.
        """
        settings = self.settings
        self._first_ids = asyncio.Lock()
        open_batches = asyncio.Semaphore(-(-settings.concurrency // BATCH_ROWS) + 1)

        async def answer_batch(client: RetryingClient, batch: Sequence[Request]) -> pl.DataFrame:
            rows: list[tuple[Any, ...]] = []

            async def answer(request: Request) -> None:
                missing = sorted(set(range(samples)) - stored.get(request.request_id, set()))
                if not missing:
                    return
                ask = self._answer if request.without_ids is None else self._answer_with_ids
                new = await ask(client, request, missing, sampling, prompt_format)
                rows.extend(new)
                on_done(len(new))

            try:
                async with open_batches, asyncio.TaskGroup() as group:  # the first failure cancels the other requests
                    for request in batch:
                        group.create_task(answer(request))
            except BaseException:
                _store(batch, folder, key, rows)
                raise
            return await asyncio.to_thread(_store, batch, folder, key, rows)

        async with self._client() as http_client:
            client = RetryingClient(
                http_client,
                self.url,
                concurrency=settings.concurrency,
                max_wait_seconds=settings.max_wait_seconds,
                timeout_seconds=settings.timeout_seconds,
                secret=self._secret,
                answered=bool(stored),
                check_alive=self._check_alive,
                sleep=self._sleep,
                clock=self._clock,
                deadline=self._deadline,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(answer_batch(client, batch)) for batch in batches]
            except BaseExceptionGroup as problems:
                raise _first_problem(problems) from None
            client.require_answers()
        return [task.result() for task in tasks]

    async def _answer_with_ids(
        self,
        client: RetryingClient,
        request: Request,
        missing: list[int],
        sampling: Sampling,
        prompt_format: PromptFormat,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a request that has token ids; if the server does not accept these, it is sent as text.

        Such requests are sent one at a time until it is known whether the server accepts token ids.
        """
        assert request.without_ids is not None
        if self._accepts_ids is None:
            async with self._first_ids:
                if self._accepts_ids is None:
                    rows = await self._answer(client, request, missing, sampling, prompt_format)
                    if _are_answered(rows):
                        self._accepts_ids = True
                        return rows
                    rows = await self._answer(client, request.without_ids, missing, sampling, prompt_format)
                    if _are_answered(rows):
                        self._accepts_ids = False
                        say(
                            f"The server at {hide_password(self.url)} does not accept token ids; control tokens of "
                            "chat templates in texts get a blank inside, so that they are read as text."
                        )
                    return rows
        request = request if self._accepts_ids else request.without_ids
        return await self._answer(client, request, missing, sampling, prompt_format)

    async def _answer(
        self,
        client: RetryingClient,
        request: Request,
        missing: list[int],
        sampling: Sampling,
        prompt_format: PromptFormat,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of the ``missing`` samples of a request."""
        if request.refused is not None:
            failed = Choice(None, "error", request.refused)
            return [_to_row(request, sample, failed) for sample in missing]
        path = _PATHS[self.settings.endpoint]
        rows: list[tuple[Any, ...]] = []
        refused_several = False
        while missing:
            single = self._one_at_a_time or refused_several or "n" in self.settings.extra_body
            count = 1 if single else len(missing)
            body = request.body | ({"n": count} if count > 1 else {})
            if sampling.temperature > 0 and "seed" not in self.settings.extra_body:
                seed = generation_cache.answer_seed(sampling, request.row_key(missing[0]))
                body["seed"] = seed & 0x7FFFFFFF  # servers take 31 bits
            reply = await client.post(path, body)
            if isinstance(reply, FailedRequest) and reply.refused and not reply.filtered and count > 1:
                refused_several = True
                continue
            if isinstance(reply, FailedRequest):
                failed = Choice(None, "filter" if reply.filtered else "error", reply.reason, note=request.note)
                return rows + [_to_row(request, sample, failed) for sample in missing]
            self._one_at_a_time |= refused_several
            new = self._read_reply(request, missing, reply, count, prompt_format, sampling.max_new_tokens)
            rows += new
            missing = missing[len(new) :]
        return rows

    def _read_reply(
        self,
        request: Request,
        missing: list[int],
        reply: dict[str, Any],
        count: int,
        prompt_format: PromptFormat,
        most_tokens: int,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a reply to ``count`` of the ``missing`` samples: one at least.

        An answer of ``most_tokens`` tokens was cut off if the server does not say why it ended.
        """
        keep = self.settings.thinking == "keep"
        reply = dict(http_outcomes.sort_choices(reply))
        if self.settings.endpoint == "moderations":
            choices, tokens = [moderations.read_result(reply)], None
        else:
            choices = http_outcomes.read_choices(reply, count, self._secret, keep=keep, opened=request.opened)
            tokens = http_outcomes.read_tokens(reply)
        model = http_outcomes.read_model(reply, self.settings.model, self._secret)
        if model is not None and model not in self._other_models:
            self._other_models.add(model)
            say(
                f"The server at {hide_password(self.url)} answers as the model {model}, not {self.settings.model}; "
                "if that is another model, correct model or the server."
            )
        verdict_tokens = prompt_format.verdict_tokens
        rows = []
        for number, (sample, choice) in enumerate(zip(missing, choices, strict=False)):
            if tokens is not None and tokens >= most_tokens and choice.kind == "answer":
                silent = not reply["choices"][number].get("finish_reason")
                choice = replace(choice, finish_reason="length") if silent else choice
            score = None
            if verdict_tokens is not None and choice.kind == "answer":
                kept = split_thinking(choice.text or "", opened=request.opened) if keep else None
                answer, thinking = (choice.text, choice.thinking) if kept is None else (kept.answer, kept.thinking)
                score = token_probability.compute_choice_score(
                    verdict_tokens,
                    reply["choices"][number],
                    answer,
                    thought=thinking is not None,
                    opened=request.opened,
                )
            notes = [note for note in (request.note, choice.note, f"answered as {model}" if model else None) if note]
            rows.append(_to_row(request, sample, replace(choice, note="; ".join(notes) or None), tokens, score))
        return rows

    def _client(self) -> httpx.AsyncClient:
        settings = self.settings
        # Each request has a connection of its own. On one that is used again, what a server sent too much would be read
        # as the reply to the next request, so an answer could be stored with another prompt.
        return httpx.AsyncClient(
            timeout=httpx.Timeout(settings.timeout_seconds, connect=30, pool=None),
            limits=httpx.Limits(max_connections=settings.concurrency, max_keepalive_connections=0),
            headers=self._headers() | {"Accept-Encoding": "gzip, deflate"},
            trust_env=self._is_remote(),
        )

    def _is_remote(self) -> bool:
        """Return whether the server is on another machine: only then are the environment's proxies used."""
        return urlsplit(self.url).hostname not in LOCAL_HOSTS

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"} if self._secret else {}

    def _describe_model(self) -> str:
        """Return the entry of this model in the server's list of models; an empty text if there is no such entry."""
        shown = hide_password(self.url)
        try:
            _, content = http_retry.get(
                f"{self.url}/models",
                max_wait_seconds=self.settings.max_wait_seconds,
                headers=self._headers(),
                trust_env=self._is_remote(),
                secret=self._secret,
                check_alive=self._check_alive,
            )
        except ServerUnavailableError as problem:
            raise SeasDataError(f"no server answers at {shown} ({problem}); start it or correct url") from problem
        try:
            listed = http_outcomes.parse_json(content)
        except InvalidLineError:
            listed = None
        data = listed.get("data") if isinstance(listed, dict) else None
        entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        named = [entry for entry in entries if entry.get("id") == self.settings.model]
        if others := [str(entry["id"]) for entry in entries if isinstance(entry.get("id"), str)] if not named else []:
            names = http_outcomes.clean(", ".join(others[:5]), self._secret)
            say(f"The server at {shown} does not list the model {self.settings.model} ({names}).")
        if data is None or not isinstance(data, list):
            return ""
        return json.dumps([{name: _plain(entry.get(name)) for name in _MODEL_FIELDS} for entry in named[:1]])


def _first_problem(problem: BaseException) -> BaseException:
    """Return the first exception of nested groups: that which ended the run."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem


def _plain(value: Any) -> str | int | None:
    """Return ``value`` if it is a text or a number; the description holds nothing else."""
    return value if isinstance(value, str | int) else None


def _samples_are_equal(answers: pl.DataFrame) -> bool:
    """Return whether all samples of each request have the same text, over at least five requests."""
    texts = answers.drop_nulls("text").group_by("request_id").agg(pl.len(), pl.col("text").n_unique())
    several = texts.filter(pl.col("len") > 1)
    return several.height >= 5 and bool((several["text"] == 1).all())


def _read_key(variable: str | None) -> str | None:
    """Return the key in an environment variable without white space around it; no message contains it."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise SeasDataError(f"the environment variable {variable} (api_key_env) is not set; set it to the server's key")
    if not all("!" <= character <= "~" for character in key):
        raise SeasDataError(
            f"the key in the environment variable {variable} (api_key_env) has a blank, a line break or another "
            "character that a key cannot have; copy the key again"
        )
    return key


def _are_answered(rows: Sequence[tuple[Any, ...]]) -> bool:
    """Return whether a request has rows of ``ANSWER_SCHEMA`` and none of them failed."""
    return all(reason != "error" for _, _, _, reason, *_ in rows)


def _to_row(
    request: Request, sample: int, choice: Choice, tokens: int | None = None, score: float | None = None
) -> tuple[Any, ...]:
    """Return a row of ``ANSWER_SCHEMA``."""
    counted = tokens if choice.kind != "failure" else None
    parts = (choice.text, choice.finish_reason, counted, choice.error, score, choice.thinking, choice.note)
    return request.request_id, sample, *parts
