"""The addresses of the review page. A page is one item, rendered here; forms send decisions and lead to the next item.

GET /            the item at ``at``, or the first undecided one of the filter
POST /decide     record a choice and go to the next item of the filter
POST /save       record a note and a label of an item that the reviewer leaves
POST /undo       take back the last decision and go to its item
POST /reveal     show texts at once from now on, or hide them again
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from seas_data.errors import SeasDataError
from seas_data.review.page.items import Item
from seas_data.review.page.marks import split_marks
from seas_data.review.page.matches import Matches
from seas_data.review.page.session import Session

_RESOURCES = Path(__file__).parent / "resources"
_LARGEST_FORM = 100_000  # bytes
_LONGEST_SEARCH = 200
_REMEMBERED = 8  # filters
_AT_ONCE = "review-texts-at-once"  # a cookie: localStorage would not last, because the next start has another port
_YEAR = 365 * 24 * 3600  # seconds


class Items(Protocol):
    """What is shown of the rows of a sheet."""

    def text(self, row_id: str) -> str: ...  # noqa: D102
    def kind(self, row_id: str) -> str: ...  # noqa: D102
    def is_hidden(self, row_id: str) -> bool: ...  # noqa: D102
    def show(self, row_id: str) -> Item: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class ReviewPage:
    """The page for ``session``, which shows ``items``; ``title``: what is reviewed."""

    def __init__(self, session: Session, items: Items, title: str) -> None:
        self._session, self._items, self._title = session, items, title
        self._hint, self._opened = "", ""  # what the next page says, and the row whose text it shows
        loader = FileSystemLoader(_RESOURCES)
        environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["marks"] = split_marks
        self._template = environment.get_template("page.html.j2")
        self._kinds = sorted({items.kind(row_id) for row_id in session.ids} - {""})
        self._matches: dict[tuple[str, str, bool], Matches] = {}

    def app(self) -> Starlette:
        """Return the ASGI application. When it stops, the session is closed."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            self._items.close()
            self._session.close()

        return Starlette(
            routes=[
                Route("/", self._show, methods=["GET"]),
                Route("/decide", self._decide, methods=["POST"]),
                Route("/save", self._save, methods=["POST"]),
                Route("/undo", self._undo, methods=["POST"]),
                Route("/reveal", self._reveal, methods=["POST"]),
                Route("/page.js", _resource("page.js", "text/javascript")),
                Route("/page.css", _resource("page.css", "text/css")),
            ],
            lifespan=lifespan,
            exception_handlers={SeasDataError: self._fail, Exception: self._fail},
        )

    async def _show(self, request: Request) -> Response:
        show, search = _filter_of(request.query_params.get("show"), request.query_params.get("search"))
        at = _position(request.query_params.get("at"))
        if at is not None:
            at = min(at, len(self._session.ids) - 1)
        else:
            at = self._find(show, search, open_only=True).first_from(0)
            at = self._find(show, search).first_from(0) if at is None else at
        return HTMLResponse(self._render(at, show, search, _at_once(request)))

    async def _decide(self, request: Request) -> Response:
        form = await _read_form(request)
        row_id, key = self._row(form), form.get("choice", "")
        note = form.get("note", self._session.note(row_id))  # a script leaves out what was not changed
        show, search = _filter_of(form.get("show"), form.get("search"))
        if key == "0":
            self._session.clear(row_id, note)
        elif not self._is_read(request, form):
            self._session.annotate(row_id, note=note)
            self._hint = "Nothing was recorded: the text was hidden. Read it, then decide again."
            self._opened = row_id
            return _to(self._changed(row_id), show, search)
        else:
            detail = form.get("detail", self._session.cells(row_id)[self._session.form.detail])
            self._session.decide(row_id, key, detail, note)
        at = self._changed(row_id)
        following = self._find(show, search).first_from(at + 1)
        return _to(at if following is None or key == "0" else following, show, search)

    async def _save(self, request: Request) -> Response:
        form = await _read_form(request)
        row_id = self._row(form)
        self._session.annotate(row_id, form.get("detail") if self._is_read(request, form) else None, form.get("note"))
        self._changed(row_id)
        return Response(status_code=204)

    async def _undo(self, request: Request) -> Response:
        form = await _read_form(request)
        row_id = self._session.undo()
        show, search = _filter_of(form.get("show"), form.get("search"))
        if row_id is None:
            self._hint = "Nothing to undo since the command was started."
            return _to(_position(form.get("at")) or 0, show, search)
        return _to(self._changed(row_id), show, search)

    async def _reveal(self, request: Request) -> Response:
        form = await _read_form(request)
        show, search = _filter_of(form.get("show"), form.get("search"))
        response = _to(_position(form.get("at")) or 0, show, search)
        at_once = "yes" if form.get("at_once") == "yes" else "no"
        response.set_cookie(_AT_ONCE, at_once, max_age=_YEAR, httponly=True, samesite="strict", path="/")
        return response

    def _row(self, form: dict[str, str]) -> str:
        """Return the row that a form is about. Raises SeasDataError if the sheet lacks it."""
        row_id = form.get("row", "")
        if row_id not in self._session.positions:
            raise SeasDataError("this item is not on the sheet; reload the page")
        return row_id

    def _is_read(self, request: Request, form: dict[str, str]) -> bool:
        """Return whether the text of the form's row was shown."""
        return form.get("read") == "yes" or _at_once(request) or not self._items.is_hidden(form["row"])

    async def _fail(self, request: Request, problem: Exception) -> Response:
        """Answer with what went wrong; the words of other errors may quote a prompt, so they are not shown."""
        known = isinstance(problem, SeasDataError)
        message = str(problem) if known else f"The page failed ({type(problem).__name__}); no decision was recorded."
        return HTMLResponse(
            self._template.render(self._common("all", "", _at_once(request)) | {"problem": message}),
            400 if known else 500,
        )

    def _find(self, show: str, search: str, *, open_only: bool = False) -> Matches:
        """Return the rows of a filter, or its undecided ones; those of the last few filters are remembered."""
        key = (show, search, open_only)
        found = self._matches.pop(key, None)
        if found is None:
            wanted, session = self._filter(show, search), self._session
            found = Matches(
                session.ids, (lambda row_id: not session.is_decided(row_id) and wanted(row_id)) if open_only else wanted
            )
        self._matches[key] = found
        while len(self._matches) > _REMEMBERED:
            del self._matches[next(iter(self._matches))]
        return found

    def _changed(self, row_id: str) -> int:
        """Bring the remembered filters up to date with a row, and return its position."""
        at = self._session.positions[row_id]
        for matches in self._matches.values():
            matches.update(at)
        return at

    def _filter(self, show: str, search: str) -> Callable[[str], bool]:
        """Return whether a row passes the filter ``show`` and contains ``search``."""
        session, words = self._session, search.casefold()
        if show == "all" and not words:
            return lambda _: True

        def wanted(row_id: str) -> bool:
            cells = session.cells(row_id)
            if show == "undecided" and session.is_decided(row_id):
                return False
            if show == "decided" and not session.is_decided(row_id):
                return False
            if show == "with a note" and not session.note(row_id):
                return False
            if show in self._kinds and self._items.kind(row_id) != show:
                return False
            chosen = next((each for each in session.form.choices if each.name == show), None)
            if chosen and any(cells[name] != value for name, value in chosen.cells.items()):
                return False
            return not words or words in self._items.text(row_id).casefold()

        return wanted

    def _common(self, show: str, search: str, at_once: bool) -> dict[str, object]:
        session = self._session
        left = session.seconds_left() if session.decided < len(session.ids) else None
        return {
            "title": self._title,
            "who": session.who,
            "form": session.form,
            "decided": session.decided,
            "count": len(session.ids),
            "left": None if left is None else _duration(left),
            "show": show,
            "search": search,
            "filters": ["all", "undecided", "decided", "with a note", *(c.name for c in session.form.choices)],
            "kinds": self._kinds,
            "open_at_once": at_once,
            "item": None,
            "problem": None,
        }

    def _render(self, at: int | None, show: str, search: str, at_once: bool) -> str:
        values = self._common(show, search, at_once)
        if at is None:
            return self._template.render(values)
        session = self._session
        row_id = session.ids[at]
        matches, undecided = self._find(show, search), self._find(show, search, open_only=True)
        skip = undecided.first_from(at + 1)
        skip = undecided.first_from(0) if skip is None else skip
        links = {
            "previous": _link(matches.last_before(at), show, search),
            "next": _link(matches.first_from(at + 1), show, search),
            "skip": _link(None if skip == at else skip, show, search),
        }
        hint, self._hint = self._hint, ""
        opened, self._opened = self._opened, ""
        cells = session.cells(row_id)
        made = [
            choice
            for choice in session.form.choices
            if session.is_decided(row_id) and all(cells[name] == value for name, value in choice.cells.items())
        ]
        values |= {
            "item": self._items.show(row_id),
            "words": session.words(row_id),
            "at": at + 1,
            "links": links,
            "cells": cells,
            "chosen": made[-1] if made else None,
            "is_filtered": (show, search) != ("all", ""),
            "matching": len(matches),
            "rank": matches.count_before(at) + 1 if at in matches else None,
            "before": 0 if links["next"] else undecided.count_before(at),
            "hint": hint,
            "is_open": opened == row_id,
            "note": session.note(row_id),
            "is_decided": session.is_decided(row_id),
        }
        return self._template.render(values)


def _at_once(request: Request) -> bool:
    """Return whether this browser shows texts at once."""
    return request.cookies.get(_AT_ONCE) == "yes"


def _filter_of(show: str | None, search: str | None) -> tuple[str, str]:
    return (show or "all")[:_LONGEST_SEARCH], (search or "")[:_LONGEST_SEARCH]


def _position(given: str | None) -> int | None:
    """Return the position that a request names by its number from 1; None if it names none."""
    digits = re.fullmatch(r"[0-9]{1,9}", given or "")
    return max(int(digits[0]), 1) - 1 if digits else None


def _link(at: int | None, show: str, search: str) -> str | None:
    if at is None:
        return None
    filters = {"show": show if show != "all" else "", "search": search}
    return "/?" + urlencode({"at": at + 1} | {name: value for name, value in filters.items() if value})


def _to(at: int, show: str, search: str) -> Response:
    return RedirectResponse(_link(at, show, search) or "/", 303)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


async def _read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises SeasDataError if it is too large or no form."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            raise SeasDataError("this form is too large; shorten the note")
    if request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        raise SeasDataError("this is no form of the page; reload the page")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise SeasDataError("this form cannot be read; reload the page") from None
    return {name: values[-1] for name, values in fields.items()}


def _resource(name: str, kind: str) -> Callable[[Request], Response]:
    content = (_RESOURCES / name).read_bytes()

    def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer
