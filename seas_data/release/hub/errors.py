"""Errors of the Hugging Face Hub: one message with the next step for each, and retries of those that pass.

The Hub's client retries uploads and look-ups but not calls that change something. ``with_hub_retries`` retries those
that are safe to repeat; ``hub_errors`` turns what is left into a SeasDataError. No message contains a token: text from
a server or a library is put on one line, cut, and cleared of anything that looks like a token.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, errors, get_token

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.hub_token import check_hub_token
from seas_data.redact import LIKE_A_SECRET
from seas_data.retry import Backoff, with_retries
from seas_data.text import printable

Kind = Literal["dataset", "model"]
_Result = TypeVar("_Result")

ATTEMPTS = 6
BACKOFF = Backoff(first=1.0, longest=16.0)
_LONGEST_WAIT = 300.0  # seconds that the Hub may ask for; beyond it a person decides
_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}
_NO_CONNECTION = (httpx2.TransportError, json.JSONDecodeError)  # a proxy answers with a page that is not JSON
_EXPLAINED = (errors.OfflineModeIsEnabled, errors.EntryNotFoundError)


class HubUnavailableError(SeasDataError):
    """The Hub gave no answer: no connection, offline mode, or a status that means "later"."""


@contextmanager
def hub_errors(repository: str, kind: Kind = "dataset") -> Iterator[None]:
    """Raise SeasDataError with a message about ``repository`` for whatever the Hub's client raises in the block."""
    check_hub_token()
    try:
        with _quiet_client():
            yield
    except SeasDataError:
        raise
    except (errors.HFValidationError, errors.HfUriError):
        raise SeasDataError(
            f"{printable(repository)} is not a repository name; write it as ORGANISATION/NAME"
        ) from None
    except (httpx2.HTTPError, OSError, RuntimeError, ValueError) as problem:
        cause = _root_cause(problem)
        if not isinstance(cause, (*_NO_CONNECTION, httpx2.HTTPError, *_EXPLAINED)):
            raise
        error = HubUnavailableError if _is_unanswered(cause) else SeasDataError
        raise error(explain(cause, repository, kind)) from None


def with_hub_retries(call: Callable[[], _Result]) -> _Result:
    """Return the result of ``call``, with retries while the Hub is busy, has a fault or cannot be reached.

    ``call`` must be safe to repeat: when a reply is lost, the first call may have taken effect.
    """
    return with_retries(call, is_transient=_is_transient, attempts=ATTEMPTS, backoff=BACKOFF, on_wait=_report_wait)


def _is_unanswered(cause: BaseException) -> bool:
    if isinstance(cause, errors.HfHubHTTPError):
        return cause.response.status_code in _TRANSIENT_STATUS
    return isinstance(cause, (*_NO_CONNECTION, errors.OfflineModeIsEnabled))


def explain(problem: BaseException, repository: str, kind: Kind) -> str:
    """Return a message that says what went wrong with ``repository`` and what to do."""
    name = f"the {kind} {repository}"
    if isinstance(problem, errors.OfflineModeIsEnabled):
        return f"{name} was not reached because HF_HUB_OFFLINE is set; unset it and rerun the command"
    if isinstance(problem, errors.HfHubHTTPError):
        return _explain_status(problem, repository, kind, name)
    if isinstance(problem, errors.EntryNotFoundError):
        return f"{name} lacks a file of a release ({describe(problem)}); check that seas-data pushed it"
    host = urlsplit(constants.ENDPOINT).hostname
    return (
        f"could not connect to {host} for {name} ({describe(problem)}); check the network and the proxy settings, and "
        "rerun the command: files that were uploaded are not sent again"
    )


def _explain_status(problem: errors.HfHubHTTPError, repository: str, kind: Kind, name: str) -> str:
    status = problem.response.status_code
    url = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    login = "log in with `hf auth login`, or set HF_TOKEN"
    if isinstance(problem, errors.GatedRepoError):
        return f"{name} is gated and you have no access; request access at {url}, and retry once it is granted"
    if isinstance(problem, errors.RevisionNotFoundError):
        return f"{name} has no such tag, branch or commit; see {url} for those that exist"
    if isinstance(problem, errors.RepositoryNotFoundError) or status == 404:
        step = "check the name, or log in to an account with access" if get_token() else f"check the name, and {login}"
        return f"the {kind} {repository} does not exist, or you have no access to it; {step}"
    if status == 401:
        if get_token() is None:
            return f"the Hub requires a login for {name}; {login}"
        return f"the Hub does not accept your token for {name}; create a new one in your Hub settings, and {login}"
    if status == 403:
        return (
            f"your token does not permit this for {name} ({describe(problem)}); use one with write access, or ask an "
            f"owner of {repository.partition('/')[0]} for access"
        )
    if status == 409:
        return f"the Hub reports a conflict for {name} ({describe(problem)}); wait a minute and rerun the command"
    if status == 412:
        return f"{name} was changed in the meantime; rerun the command, which starts from its current state"
    if status == 429:
        return f"the Hub limits the rate of requests for {name} (429); wait some minutes and rerun the command"
    if status >= 500:
        return f"the Hub failed to answer for {name} ({status}); rerun the command later"
    return f"the Hub refused the request for {name} ({status}: {describe(problem)})"


def describe(problem: BaseException) -> str:
    """Return the text of a problem: on one line, cut, without anything like a token or a signed URL."""
    text = (problem.server_message if isinstance(problem, errors.HfHubHTTPError) else None) or str(problem)
    text = LIKE_A_SECRET.sub("(token)", " ".join(text.split()))
    if token := get_token():
        text = text.replace(token, "(token)")
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", text)
    return printable(text)[:200] or type(problem).__name__


def is_status(problem: BaseException, status: int) -> bool:
    """Return whether the problem is a reply of the Hub with ``status``."""
    cause = _root_cause(problem)
    return isinstance(cause, errors.HfHubHTTPError) and cause.response.status_code == status


def _is_transient(problem: Exception) -> float | bool:
    """Return whether a retry may help, or the seconds that the Hub asks to wait before one."""
    if not isinstance(problem, httpx2.HTTPError | OSError | RuntimeError | json.JSONDecodeError):
        return False
    cause = _root_cause(problem)
    if not isinstance(cause, errors.HfHubHTTPError):
        return isinstance(cause, _NO_CONNECTION)
    if cause.response.status_code not in _TRANSIENT_STATUS:
        return False
    retry_after = cause.response.headers.get("retry-after", "")
    limited = re.search(r"\br=0\b.*?\bt=(\d+)", cause.response.headers.get("ratelimit", ""))
    if limited is None and not retry_after.isdigit():
        return True
    seconds = float(limited[1] if limited else retry_after)
    return seconds if seconds <= _LONGEST_WAIT else False


def _report_wait(_: Exception, seconds: float) -> None:
    say(f"the Hub is not responding; retrying in {seconds:.0f} s")


def _root_cause(problem: BaseException) -> BaseException:
    """Return the client's own error: threads of uploads and the cache of downloads wrap it."""
    cause = problem
    while cause.__cause__ is not None and not isinstance(cause, httpx2.HTTPError):
        cause = cause.__cause__
    return cause if isinstance(cause, httpx2.HTTPError | errors.OfflineModeIsEnabled) else problem


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Let the client log that it waits, and nothing with a URL in it: those of uploads are signed."""
    logger = logging.getLogger("huggingface_hub")
    only_waits = _WaitMessages()
    for handler in logger.handlers:
        handler.addFilter(only_waits)
    try:
        yield
    finally:
        for handler in logger.handlers:
            handler.removeFilter(only_waits)


class _WaitMessages(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage().startswith(("Rate limited", "Retrying in"))
