"""A person at work on a sheet: decisions, undo, filters and progress. Nothing here knows of HTTP."""

import statistics
import time
from collections import deque
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.review.page.forms import Form
from seas_data.review.words import QUESTIONS, WORDS, Word, describe_word, describe_words, disagree, read_words
from seas_data.sources.raw_rows import is_valid_unicode
from seas_data.sources.sheet_journal import Journal
from seas_data.sources.sheets import fold_journal, read_sheet

_LONGEST_NOTE = 2_000
_LONGEST_PAUSE = 120.0  # seconds; a longer one is a break, not work on an item
_TIMED = 30  # decisions

Cells = dict[str, str]


class Session:
    """The sheet at ``path`` that ``who`` fills in, with the answers to ``form``.

    ``ids``: the rows in the sheet's order. ``reason``: what stands in ``because`` for decisions without a note, where
    the form needs one. ``settle``: the sheet is a merged one, and the rows are those on which people disagree; what
    they said then stands in ``because`` too. Raises SeasDataError if the sheet has faults, or is open in another
    process, or is somebody else's.
    """

    def __init__(self, path: Path, form: Form, who: str, reason: str = "", *, settle: bool = False) -> None:
        self.path, self.form, self.who, self.reason = path, form, who, reason
        self._journal, self._closed = Journal(path), False
        try:
            self._fold()
            self._rows, words = _read(path, form)
            self._words = _disputed(path, words, form) if settle else {}
            if settle:
                self._rows = {row_id: self._rows[row_id] for row_id in self._words}
            else:
                self._refuse_other_names()
        except BaseException:
            self._journal.close()
            raise
        self.ids = list(self._rows)
        self.positions = {row_id: at for at, row_id in enumerate(self.ids)}
        self.decided = sum(self.is_decided(row_id) for row_id in self.ids)
        self._undo: list[tuple[str, Cells, Cells]] = []  # a row, and its cells before and after a decision
        self._pauses: deque[float] = deque(maxlen=_TIMED)
        self._last = time.monotonic()

    def cells(self, row_id: str) -> Cells:
        """Return what is decided on a row."""
        return self._rows[row_id]

    def is_decided(self, row_id: str) -> bool:
        """Return whether a row is decided."""
        return any(self._rows[row_id][name] for name in self.form.decisive)

    def note(self, row_id: str) -> str:
        """Return the note on a row."""
        return self._note_in(row_id, self._rows[row_id])

    def words(self, row_id: str) -> list[tuple[str, str]]:
        """Return what people said of a row that is to be settled: their names and words."""
        questions = QUESTIONS[self.form.id_column]
        return [(word["who"], describe_word(word, questions)) for word in self._words.get(row_id, [])]

    def decide(self, row_id: str, key: str, detail: str = "", note: str = "") -> None:
        """Record the choice of ``key`` on a row. Raises SeasDataError if it cannot be recorded."""
        choice = self.form.choice(key)
        if choice is None:
            raise SeasDataError("this choice is not on the form; reload the page")
        self._require_option(detail)
        cells = dict.fromkeys(self.form.inputs, "") | {self.form.detail: detail} | choice.cells
        self._record(row_id, self._signed(row_id, cells, _clean(note)))

    def annotate(self, row_id: str, detail: str | None = None, note: str | None = None) -> None:
        """Record a note on a row, and a value of ``detail`` as a decision; None leaves them as they are.

        A note is no decision: a row that has nothing else stays undecided, and undo leaves it. Raises SeasDataError if
        they cannot be recorded.
        """
        cells = self._rows[row_id]
        kept = self.note(row_id) if note is None else _clean(note)
        if detail is not None:
            self._require_option(detail)
        if kept != self.note(row_id):
            self._write(row_id, self._signed(row_id, cells, kept))
        if detail is not None and detail != cells[self.form.detail]:
            self._record(row_id, self._signed(row_id, self._rows[row_id] | {self.form.detail: detail}, kept))

    def clear(self, row_id: str, note: str = "") -> None:
        """Record that a row is not decided, with a note."""
        self._record(row_id, self._signed(row_id, dict.fromkeys(self.form.inputs, ""), _clean(note)))

    def undo(self) -> str | None:
        """Take back the last decision and return its row, or None if there is none of this session.

        What changed on the row since then stays, such as a note.
        """
        if not self._undo:
            return None
        row_id, earlier, recorded = self._undo[-1]
        now, cells = self._rows[row_id], earlier
        if now != recorded:
            cells = {name: earlier[name] if now[name] == recorded[name] else now[name] for name in now}
            before, after = self._note_in(row_id, recorded), self.note(row_id)
            cells = self._signed(row_id, cells, self._note_in(row_id, earlier) if before == after else after)
        self._write(row_id, cells)
        self._undo.pop()
        return row_id

    def seconds_left(self) -> float | None:
        """Return how long the other rows will take at the pace of the last decisions; None before the third."""
        if len(self._pauses) < 3:
            return None
        return statistics.median(self._pauses) * (len(self.ids) - self.decided)

    def close(self) -> None:
        """Write the decisions into the sheet and close the journal. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._fold()
        finally:
            self._journal.close()

    def _said(self, row_id: str) -> str:
        """Return what follows the reason of a settled row."""
        words = self._words.get(row_id)
        return f" ({describe_words(words, QUESTIONS[self.form.id_column])})" if words else ""

    def _note_in(self, row_id: str, cells: Cells) -> str:
        because = cells["because"].removesuffix(self._said(row_id))
        return "" if because == self.reason else because

    def _require_option(self, detail: str) -> None:
        if detail and detail not in self.form.options:
            raise SeasDataError("this choice is not on the form; reload the page")

    def _signed(self, row_id: str, cells: Cells, note: str) -> Cells:
        """Return what people decided in ``cells`` with ``who`` and ``because``, unless that is nothing."""
        is_decided = any(cells[name] for name in self.form.decisive)
        if not is_decided and not note:
            return cells | {"who": "", "because": ""}
        needs_reason = is_decided and (self.form.needs_reason or bool(self._words))
        because = note or (self.reason if needs_reason else "")
        return cells | {"who": self.who, "because": because + (self._said(row_id) if is_decided else "")}

    def _record(self, row_id: str, cells: Cells) -> None:
        earlier = dict(self._rows[row_id])
        self._write(row_id, cells)
        self._undo.append((row_id, earlier, dict(cells)))
        now = time.monotonic()
        self._pauses.append(min(now - self._last, _LONGEST_PAUSE))
        self._last = now

    def _write(self, row_id: str, cells: Cells) -> None:
        self._journal.append(row_id, cells, self._rows[row_id])
        before = self.is_decided(row_id)
        self._rows[row_id] = dict(cells)
        self.decided += self.is_decided(row_id) - before

    def _fold(self) -> None:
        fold_journal(self.path, "review sheet")
        self._journal.clear()

    def _refuse_other_names(self) -> None:
        others = {cells["who"] for cells in self._rows.values()} - {"", self.who}
        if others:
            raise SeasDataError(
                f"{self.path} has decisions of {sorted(others)[0]}; pass a sheet of your own with -o, or --who with "
                "that name to continue it"
            )


def _clean(note: str) -> str:
    """Return a note on one line. Raises SeasDataError if it cannot be recorded."""
    note = " ".join(note.split())
    if len(note) > _LONGEST_NOTE or not is_valid_unicode(note):
        raise SeasDataError(f"the note has more than {_LONGEST_NOTE:,} characters; shorten it")
    return note


def _read(path: Path, form: Form) -> tuple[dict[str, Cells], dict[str, str]]:
    """Return the cells that people fill in, and those of the column ``words``, if any, by row.

    Raises SeasDataError if the sheet has faults.
    """
    header, records = read_sheet(path, "review sheet")
    if missing := [name for name in (form.id_column, *form.inputs) if name not in header]:
        raise SeasDataError(f"{path} lacks the columns {', '.join(missing)}; it is no review sheet of {form.noun}s")
    rows: dict[str, Cells] = {}
    words: dict[str, str] = {}
    for record in records:
        if record.fields is None:
            raise SeasDataError(f"{path.name}:{record.line}: {record.fault}; fix the line")
        row = dict(zip(header, record.fields, strict=True))
        row_id = row[form.id_column]
        if row_id in rows:
            raise SeasDataError(f"{path.name}:{record.line}: the {form.noun} has an earlier row; keep one of them")
        rows[row_id] = {name: row[name] for name in form.inputs}
        if WORDS in row:
            words[row_id] = row[WORDS]
    if not rows:
        raise SeasDataError(f"{path} has no rows; write a new sheet to another path")
    return rows, words


def _disputed(path: Path, cells: dict[str, str], form: Form) -> dict[str, list[Word]]:
    """Return what people said of the rows on which they disagree. Raises SeasDataError if there are none."""
    if not cells:
        raise SeasDataError(f"{path} is no merged sheet; make one with: seas-data review merge A.csv B.csv -o FILE")
    try:
        words = {row_id: read_words(cell) for row_id, cell in cells.items()}
    except ValueError:
        raise SeasDataError(f"the column {WORDS} of {path} is not as review merge writes it; merge again") from None
    found = {row_id: said for row_id, said in words.items() if disagree(said, QUESTIONS[form.id_column])}
    if not found:
        raise SeasDataError(f"nobody disagrees in {path}, so there is nothing to settle")
    return found
