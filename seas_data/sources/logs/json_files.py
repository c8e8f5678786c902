"""JSON and JSON Lines files, one value at a time: memory is bounded by the largest value and not by the file."""

import codecs
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from seas_data.errors import SeasDataError
from seas_data.sources.compression import open_stream
from seas_data.sources.jsonl import STRICT_DECODER, parse_object
from seas_data.sources.logs.records import LogSkipped
from seas_data.sources.raw_rows import InvalidLineError

MAX_RECORD: Final = 256 << 20
"""A value with more characters than this is refused."""
_CHUNK: Final = 1 << 20
_WHITE_SPACE: Final = " \t\r\n"

KeyPath = tuple[str | int, ...]


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | LogSkipped]]:
    """Yield each line that is not blank: its location and its object, or the reason why it is none.

    A last line without an end that is no object is ``unfinished``: the tool was killed while it wrote.
    """
    with open_stream(path) as stream:
        number = 0
        while line := stream.readline(MAX_RECORD):
            number += 1
            location = f"{path.name}:{number}"
            if len(line) == MAX_RECORD and not line.endswith(b"\n"):
                while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                    pass
                yield location, LogSkipped(location, "unreadable", f"a line of more than {MAX_RECORD:,} bytes")
                continue
            text = line.decode(errors="surrogateescape").removeprefix("\ufeff" if number == 1 else "")
            if not text.strip(_WHITE_SPACE):
                continue
            try:
                yield location, parse_object(text.rstrip("\n"))
            except InvalidLineError as error:
                reason = error.reason if text.endswith("\n") else "unfinished"
                yield location, LogSkipped(location, reason, str(error))


def json_values(path: Path, descend: Callable[[KeyPath], bool]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the values of a JSON file with the keys and indices that lead to each.

    ``descend`` is asked about every object and list, by its keys: if it returns True, what is inside is yielded value
    by value, else the whole. Raises SeasDataError if the file is no JSON, breaks off, or has a key with two values in
    what is yielded whole.
    """
    with open_stream(path) as stream:
        reader = _JsonReader(stream, path)
        yield from _walk(reader, (), descend)
        if reader.peek():
            raise reader.error("there is more text after its end")


def document_keys(path: Path) -> set[str]:
    """Return the keys of the object that a JSON file starts with, as far as they stand in its first megabyte."""
    with open_stream(path) as stream:
        start = stream.read(_CHUNK).decode(errors="replace").removeprefix("\ufeff").lstrip(_WHITE_SPACE)
    keys = set()
    reader = _JsonReader(io.BytesIO(start.encode()), path)
    try:
        for key, _ in _walk(reader, (), lambda keys: not keys):
            keys.add(str(key[0]) if key else "")
    except SeasDataError:
        keys.update(reader.keys)
    return keys


def _walk(reader: "_JsonReader", keys: KeyPath, descend: Callable[[KeyPath], bool]) -> Iterator[tuple[KeyPath, Any]]:
    opening = reader.peek()
    if opening not in ("{", "[") or not descend(keys):
        yield keys, reader.value()
        return
    closing = "}" if opening == "{" else "]"
    reader.skip(opening)
    index = 0
    while reader.peek() != closing:
        if index:
            reader.skip(",")
        key: str | int = index
        if opening == "{":
            key = reader.key()
        yield from _walk(reader, (*keys, key), descend)
        index += 1
    reader.skip(closing)


class _JsonReader:
    """A window over a JSON file that grows until the value at its start is complete."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.keys: list[str] = []
        self._stream = stream
        self._path = path
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False

    def error(self, problem: str) -> SeasDataError:
        """Return an error that names the file and the position."""
        where = f"at character {self._before + self._at + 1:,}"
        return SeasDataError(f"{self._path} is not a JSON file that can be read: {problem} {where}; correct the file")

    def peek(self) -> str:
        """Return the next character that is not white space; nothing at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _WHITE_SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._grow(_CHUNK)

    def skip(self, character: str) -> None:
        """Step over ``character``. Raises SeasDataError if there is another one."""
        if self.peek() != character:
            raise self.error("it breaks off" if not self.peek() else f"{character!r} is missing")
        self._at += 1

    def key(self) -> str:
        """Return the key at this place, stepping over the colon after it."""
        if self.peek() != '"':
            raise self.error("it breaks off" if not self.peek() else "a key is missing")
        key = str(self.value())
        self.keys.append(key)
        self.skip(":")
        return key

    def value(self) -> Any:
        """Return the value at this place."""
        self.peek()
        while True:
            try:
                value, end = STRICT_DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as problem:
                if self._ended:
                    cut = self._at >= len(self._text) or problem.msg.startswith("Unterminated string")
                    raise self.error("it breaks off" if cut else problem.msg) from None
            except InvalidLineError as problem:
                raise self.error(str(problem)) from None
            except (ValueError, RecursionError):
                raise self.error("a number is too long or a value is nested too deep") from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            if len(self._text) - self._at > MAX_RECORD:
                raise self.error(f"a value has more than {MAX_RECORD:,} characters or is broken")
            self._grow(max(_CHUNK, len(self._text) - self._at))

    def _grow(self, size: int) -> None:
        chunk = self._stream.read(size)
        self._ended = not chunk
        self._text, self._at, self._before = (
            self._text[self._at :] + self._decode(chunk, self._ended),
            0,
            self._before + self._at,
        )
