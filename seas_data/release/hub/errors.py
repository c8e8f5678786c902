"""Between here and the Hub: what goes wrong, said in one sentence with the next step, and patience with what passes.

The Hub's client repeats uploads and look-ups by itself, but not the calls that change something. ``patiently`` repeats
those that are safe to repeat. Whatever is left when patience ends becomes a SeasDataError. No sentence holds a token:
what a server or a library says is put on one line, cut, and cleared of anything that looks like one.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, errors, get_token

from seas_data.errors import SeasDataError
from seas_data.release.privacy.redact import LIKE_A_SECRET
from seas_data.text import printable

Kind = Literal["dataset", "model"]
_Result = TypeVar("_Result")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try, where the Hub does not say how long."""
_LONGEST = 300.0  # that a run waits because the Hub says so; beyond it, the person decides
_PASSING = {408, 429, 500, 502, 503, 504}
_NO_CONNECTION = (httpx2.TransportError, json.JSONDecodeError)  # a page of a proxy is no answer of the Hub's
_SAID = (errors.OfflineModeIsEnabled, errors.EntryNotFoundError)


@contextmanager
def speaking(repository: str, kind: Kind = "dataset") -> Iterator[None]:
    """Turn whatever the client raises within the block into a SeasDataError about ``repository``."""
    try:
        with _quiet():
            yield
    except SeasDataError:
        raise
    except (errors.HFValidationError, errors.HfUriError):
        raise SeasDataError(
            f"{printable(repository)} is no name of a repository; write it as ORGANISATION/NAME"
        ) from None
    except (httpx2.HTTPError, OSError, RuntimeError, ValueError) as problem:
        cause = _root(problem)
        if not isinstance(cause, (*_NO_CONNECTION, httpx2.HTTPError, *_SAID)):
            raise
        raise SeasDataError(explain(cause, repository, kind)) from None


def patiently(call: Callable[[], _Result]) -> _Result:
    """Return what ``call`` returns, trying again while the Hub is busy, has a fault or cannot be reached.

    ``call`` has to be safe to repeat: after a lost answer it is not known whether the first one was carried out.
    """
    for wait in WAITS:
        try:
            return call()
        except (httpx2.HTTPError, OSError, RuntimeError, json.JSONDecodeError) as problem:
            pause = _pause(_root(problem), wait)
            if pause is None:
                raise
            print(f"the Hub does not answer as it should; trying again in {pause:.0f} s", file=sys.stderr)
            time.sleep(pause)
    return call()


def explain(problem: BaseException, repository: str, kind: Kind) -> str:
    """Return one sentence for what went wrong with ``repository``, and what to do."""
    name = f"the {kind} {repository}"
    if isinstance(problem, errors.OfflineModeIsEnabled):
        return f"{name} was not reached: HF_HUB_OFFLINE is set; unset it and run the same command again"
    if isinstance(problem, errors.HfHubHTTPError):
        return _refusal(problem, repository, kind, name)
    if isinstance(problem, errors.EntryNotFoundError):
        return f"{name} lacks a file that a release has: {said(problem)}; was it pushed by seas-data?"
    host = urlsplit(constants.ENDPOINT).hostname
    return (
        f"no connection to {host} for {name} ({said(problem)}): check the network and the proxy settings, and run the "
        "same command again; what has arrived is not sent again"
    )


def _refusal(problem: errors.HfHubHTTPError, repository: str, kind: Kind, name: str) -> str:
    status = problem.response.status_code
    place = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    login = "log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(problem, errors.GatedRepoError):
        return f"{name} is gated and you are not let in: ask for access at {place}, and try again once it is granted"
    if isinstance(problem, errors.RevisionNotFoundError):
        return f"{name} has no such tag, branch or commit; see what there is at {place}"
    if isinstance(problem, errors.RepositoryNotFoundError) or status == 404:
        step = "check the name, or log in as somebody who may see it" if get_token() else f"check the name, and {login}"
        return f"there is no {kind} {repository}, or not for you to see: {step}"
    if status == 401:
        if get_token() is None:
            return f"the Hub does not know who asks for {name}: {login}"
        return f"the Hub does not accept your token for {name}: make a new one in your settings there, and {login}"
    if status == 403:
        return (
            f"your token may not do this to {name} ({said(problem)}): use one with write access to it, or ask an owner "
            f"of {repository.partition('/')[0]} to let you in"
        )
    if status == 409:
        return f"the Hub has a conflict over {name} ({said(problem)}): wait a minute and run the same command again"
    if status == 412:
        return f"{name} changed in the meantime: run the same command again, which starts from what is there now"
    if status == 429:
        return f"the Hub asks for fewer requests (429) about {name}: wait some minutes and run the same command again"
    if status >= 500:
        return f"the Hub has a fault of its own ({status}) with {name}: run the same command again later"
    return f"the Hub refused this for {name} ({status}: {said(problem)})"


def said(problem: BaseException) -> str:
    """Return what a problem says, on one line, cut, without anything that looks like a token or a signed address."""
    text = (problem.server_message if isinstance(problem, errors.HfHubHTTPError) else None) or str(problem)
    text = LIKE_A_SECRET.sub("(token)", " ".join(text.split()))
    if token := get_token():
        text = text.replace(token, "(token)")
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", text)
    return printable(text)[:200] or type(problem).__name__


def is_status(problem: BaseException, status: int) -> bool:
    """Return whether the problem is the Hub's answer ``status``."""
    cause = _root(problem)
    return isinstance(cause, errors.HfHubHTTPError) and cause.response.status_code == status


def _pause(problem: BaseException, wait: float) -> float | None:
    """Return how long to wait before another try, or None where another try is no use."""
    if isinstance(problem, errors.HfHubHTTPError):
        if problem.response.status_code not in _PASSING:
            return None
        after = problem.response.headers.get("retry-after", "")
        limited = re.search(r"\br=0\b.*?\bt=(\d+)", problem.response.headers.get("ratelimit", ""))
        told = float(limited[1] if limited else after) if limited or after.isdigit() else wait
        return told if told <= _LONGEST else None
    return wait if isinstance(problem, _NO_CONNECTION) else None


def _root(problem: BaseException) -> BaseException:
    """Return the client's own problem: what an upload's threads and the download's cache wrap is its cause."""
    seen = problem
    while seen.__cause__ is not None and not isinstance(seen, httpx2.HTTPError):
        seen = seen.__cause__
    return seen if isinstance(seen, httpx2.HTTPError | errors.OfflineModeIsEnabled) else problem


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the client say that it waits, and nothing with an address in it: those of uploads are signed."""
    logger = logging.getLogger("huggingface_hub")
    told = _Waits()
    for handler in logger.handlers:
        handler.addFilter(told)
    try:
        yield
    finally:
        for handler in logger.handlers:
            handler.removeFilter(told)


class _Waits(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage().startswith(("Rate limited", "Retrying in"))
