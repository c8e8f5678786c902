"""JSONL read strictly: every line is a row of texts or is set aside with its number and the reason.

Nothing is guessed. Polars' reader turns a number into a text and half a surrogate pair into a NUL, so Arrow's reads the
blocks of which every line is right, on all processors, and Python's the other blocks, line by line.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.sources.jsonl import InvalidLineError, parse_object

_T = TypeVar("_T")
_BLOCK = 1 << 23  # bytes read at a time
_PARSED = 1 << 20  # bytes that a thread parses at a time
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Rows that are right and what is known of them.

    ``frame``: the texts asked for. ``lines``: the number of each row's line, from 1. ``spans``: (rows, 2), where its
    bytes start and end in the file; of other files than JSONL (0, 2). ``aside``: (line, reason) of the lines that are
    not right. ``size``: of the block, in the unit in which the file is measured.
    """

    frame: pl.DataFrame
    lines: NDArray[np.int64]
    spans: NDArray[np.int64]
    aside: list[tuple[int, str]]
    size: int


def blocks(path: Path, needed: Sequence[str], optional: str) -> Iterator[Block]:
    """Yield the file at ``path`` in blocks of some 8 MB.

    A line is right if it is a JSON object in which all ``needed`` keys are texts; ``optional`` is null where it is not
    a text. Reasons: undecodable (no UTF-8, or half a surrogate pair), unreadable (no JSON object), no_text.
    """
    with path.open("rb", buffering=0) as file:
        start = len(_BOM) if os.pread(file.fileno(), len(_BOM), 0) == _BOM else 0
        line, size = 1, _BLOCK
        while block := os.pread(file.fileno(), size, start):
            stop = block.rfind(b"\n") + 1  # of what is behind it the next block starts: nothing is copied
            if stop < len(block) and not os.pread(file.fileno(), 1, start + len(block)):
                stop = len(block)  # the last line, which nothing ends
            if not stop:
                size *= 2
                continue
            if line == 1 and block[:80].lstrip()[:1] == b"[":
                raise SeasDataError(f"{path} is one JSON array; write its objects one a line (JSONL)")
            ends = _ends(block, stop)
            spans = np.stack([np.append(0, ends[:-1]), ends], axis=1)
            numbers = np.arange(line, line + len(ends))
            full = spans[:, 1] - spans[:, 0] > 2  # longer than the end of a line: not blank, most of the time
            full[~full] = [block[first:last].strip() != b"" for first, last in spans[~full].tolist()]
            spans, numbers = spans[full], numbers[full]
            frame, kept, aside = _parsed(block, spans, needed, optional)
            reasons = [(int(numbers[position]), reason) for position, reason in aside]
            yield Block(frame, numbers[kept], spans[kept] + start, reasons, stop)
            start, line, size = start + stop, line + len(ends), _BLOCK


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield ``items``, none of them None, each made in a thread while the one before it is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _ends(block: bytes, stop: int) -> NDArray[np.int64]:
    """Return where the lines of ``block`` end, up to ``stop`` (three times faster than to compare bytes in numpy)."""
    ends, end = [], 0
    while end := block.find(b"\n", end, stop) + 1:
        ends.append(end)
    if not ends or ends[-1] < stop:
        ends.append(stop)
    return np.array(ends, np.int64)


def fetch(path: Path, spans: NDArray[np.int64], needed: Sequence[str], optional: str) -> pl.DataFrame:
    """Return the texts at ``spans``, which ``blocks`` gave for this file, in that order, which must be the file's."""
    if not len(spans):
        return _empty(needed, optional)
    # Not through a memory map: every page around a line would count, and soon the whole file would be in memory.
    with path.open("rb", buffering=0) as file:
        block = b"".join([os.pread(file.fileno(), end - start, start) for start, end in spans.tolist()])
    ends = np.cumsum(spans[:, 1] - spans[:, 0])
    return _parsed(block, np.stack([np.append(0, ends[:-1]), ends], axis=1), needed, optional)[0]


def _parsed(
    block: bytes, spans: NDArray[np.int64], needed: Sequence[str], optional: str
) -> tuple[pl.DataFrame, NDArray[np.int64], list[tuple[int, str]]]:
    """Return the rows that are right, their positions among ``spans``, and (position, reason) of the others."""
    if _framed(block, spans) and (frame := _all_right(block, spans, needed, optional)) is not None:
        return frame, np.arange(len(spans)), []
    rows, kept, aside = [], [], []
    for position, (start, end) in enumerate(spans.tolist()):
        found = _row(block[start:end], needed, optional)
        if isinstance(found, tuple):
            rows.append(found)
            kept.append(position)
        elif found is not None:
            aside.append((position, found))
    return pl.DataFrame(rows, _empty(needed, optional).schema, orient="row"), np.array(kept, np.int64), aside


def _framed(block: bytes, spans: NDArray[np.int64]) -> bool:
    """Return whether every line starts with ``{`` and ends with ``}``.

    A ``}``, a line end and a ``{`` follow each other only between objects: as many rows as such lines are one a line.
    """
    content = np.frombuffer(block, np.uint8)
    last = spans[:, 1] - 1
    last = last - (content[last] == ord("\n"))
    last = last - (content[last] == ord("\r"))
    return bool((content[spans[:, 0]] == ord("{")).all() and (content[last] == ord("}")).all())


def _all_right(block: bytes, spans: NDArray[np.int64], needed: Sequence[str], optional: str) -> pl.DataFrame | None:
    """Return the rows of ``block`` up to its last line, or None unless each of the lines at ``spans`` is one."""
    lines, end = len(spans), int(spans[:, 1].max(initial=0))
    schema = pa.schema([(name, pa.string()) for name in (*needed, optional)])
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(pa.py_buffer(block).slice(0, end)),
            read_options=pyarrow.json.ReadOptions(block_size=_PARSED),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        table.validate(full=True)  # that texts are UTF-8, which the reader takes on trust
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if table.num_rows != lines or any(table.column(name).null_count for name in needed):
        return None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _row(line: bytes, needed: Sequence[str], optional: str) -> tuple[str | None, ...] | str | None:
    """Return the texts on ``line``, or why there are none; None if it is blank."""
    if not line.strip():
        return None
    try:
        content = parse_object(line.decode(errors="surrogateescape"))
    except InvalidLineError as error:
        return error.reason
    texts: list[Any] = [content.get(name) for name in needed]
    extra = content.get(optional)
    if not all(isinstance(text, str) for text in texts):
        return "no_text"
    row = (*texts, extra if isinstance(extra, str) else None)
    try:
        "".join(text or "" for text in row).encode()
    except UnicodeEncodeError:
        return "undecodable"
    return row


def _empty(needed: Sequence[str], optional: str) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys((*needed, optional), pl.String))
