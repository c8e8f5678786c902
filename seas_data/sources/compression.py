"""Files as they are: compression by content, byte-order marks, and limits on size.

What a file holds is decided by its first bytes and never by its name: a gzip file called ``a.jsonl`` is unpacked.
"""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from seas_data.errors import SeasDataError

MAX_BYTES: Final = 4 << 30
"""A file with more bytes than this, after decompression, is refused."""
MAX_RATIO: Final = 200
"""A compressed file that unpacks to more than this many times its size is refused as a decompression bomb."""
RATIO_FROM: Final = 16 << 20
"""Up to this many bytes the ratio is not looked at: a small file of equal rows compresses well."""
_CHUNK: Final = 1 << 20

COMPRESSED_ENDINGS: Final = (".gz", ".zst", ".zstd", ".bz2", ".xz")
"""Endings that say nothing about the format: ``a.jsonl.gz`` is read like ``a.jsonl``."""

_OPENERS: Final[dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]]] = {
    b"\x1f\x8b": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),
    b"\x28\xb5\x2f\xfd": ("zstd", lambda file: pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")),
    b"BZh": ("bzip2", lambda file: _Streams(file, bz2.BZ2Decompressor)),
    b"\xfd7zXZ\x00": ("xz", lambda file: _Streams(file, lzma.LZMADecompressor)),
}
_OTHER_KINDS: Final = {
    b"PAR1": "a Parquet file; set format: parquet",
    b"PK\x03\x04": "a zip archive or a workbook; set format: xlsx or log: inspect_ai if it is one, or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls); save it as .xlsx or .csv",
    b"%PDF-": "a PDF file; give a file of rows",
    b"ARROW1": "an Arrow file; give the folder that `Dataset.save_to_disk` wrote, or save it as Parquet",
    b"SQLite format 3": "an SQLite database; set log to the tool that wrote it, or export the table as .csv or .jsonl",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"version https://git-lfs.github.com/": "a pointer of Git LFS, not the file itself; fetch it by git lfs pull",
    **dict.fromkeys(_OPENERS, "a compressed file inside a compressed file; unpack it"),
}
_TAR: Final = (257, b"ustar")
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def file_name(path: Path) -> str:
    """Return the name of the file in lower case without the ending of a compression."""
    name = path.name.casefold()
    ending = next((each for each in COMPRESSED_ENDINGS if name.endswith(each)), "")
    return name.removesuffix(ending)


def read_bytes(path: Path) -> bytes:
    """Return the content of the file, decompressed if it is gzip, zstd, bzip2 or xz.

    Raises SeasDataError if the file is damaged, cut off, not a regular file or larger than ``MAX_BYTES``.
    """
    with _open(path, MAX_BYTES) as stream:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SeasDataError(f"{path} has {size:,} bytes, and at most {MAX_BYTES:,} are read; split it into files")
        return stream.read()


def decode_file(path: Path, encoding: str) -> str:
    """Return the text of the file without a byte-order mark. Bytes invalid in ``encoding`` become lone surrogates.

    A byte-order mark decides the encoding, whatever ``encoding`` says. ``is_valid_unicode`` finds the surrogates later,
    row by row, so that one bad byte costs one row. Raises SeasDataError if ``encoding`` does not exist, or the file is
    not text, is damaged, or as a whole cannot be decoded.
    """
    content = read_bytes(path)
    _require_text(path, content)
    if encoding.casefold().replace("_", "-") in ("utf-8", "utf8") and _looks_like_utf_16(content):
        raise SeasDataError(
            f"{path} looks like UTF-16 without a byte-order mark; set encoding to utf-16-le or utf-16-be"
        )
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), encoding)
    try:
        return content.decode(encoding, errors="surrogateescape").lstrip("\ufeff")
    except LookupError as problem:
        raise SeasDataError(f"{encoding!r} is not a text encoding; set encoding to one, such as utf-8") from problem
    except UnicodeError as problem:
        raise SeasDataError(f"{path} is not {encoding}: {problem}; set encoding to that of the file") from problem


def _require_text(path: Path, start: bytes) -> None:
    """Raise SeasDataError if a file that starts with ``start`` is of another kind than text."""
    kind = next((kind for mark, kind in _OTHER_KINDS.items() if start.startswith(mark)), None)
    if start.startswith(_TAR[1], _TAR[0]):
        kind = "a tar archive; unpack it"
    if kind is not None:
        raise SeasDataError(f"{path} is {kind}")


@contextmanager
def open_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open the file for reading as a stream, decompressed if it is gzip, zstd, bzip2 or xz.

    A file of any size can be read, because it is not held in memory. Raises SeasDataError if the file is not a regular
    file, or another kind than text, and, while it is read, if it is damaged or cut off or looks like a decompression
    bomb.
    """
    with _open(path) as stream:
        _require_text(path, stream.peek(512))
        yield stream


@contextmanager
def _open(path: Path, limit: int | None = None) -> Iterator[io.BufferedReader]:
    """Open the file, decompressed if it is; at most ``limit`` decompressed bytes can be read."""
    if not path.is_file():
        raise SeasDataError(f"{path} is not a regular file; give a file")
    with path.open("rb") as file:
        start = file.peek(16)
        found = next(((kind, opener) for mark, (kind, opener) in _OPENERS.items() if start.startswith(mark)), None)
        if found is None:
            yield file
            return
        kind, opener = found
        yield io.BufferedReader(_Unpacked(opener(file), path, kind, limit), _CHUNK)


class _Streams:
    """The decompressed content of streams one after the other. Unlike the classes of the standard library, it raises an
    error, and does not take it for the end, if something else than a stream follows one: the rest would be lost.
    """

    def __init__(self, file: IO[bytes], start: Callable[[], Any]) -> None:
        self._file, self._start = file, start
        self._decompressor = start()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end. Raises EOFError, OSError or LZMAError if it is damaged."""
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0")  # zeros may pad a stream
                while not rest:
                    if not (chunk := self._file.read(_CHUNK)):
                        return b""
                    rest = chunk.lstrip(b"\0")
                self._decompressor = self._start()
            else:
                rest = self._file.read(_CHUNK) if self._decompressor.needs_input else b""
                if not rest and self._decompressor.needs_input:
                    raise EOFError("it ends before the end of its stream")
            if found := self._decompressor.decompress(rest, size):
                return bytes(found)


class _Unpacked(io.RawIOBase):
    """A decompressed stream that raises SeasDataError where its file is damaged or looks like a decompression bomb."""

    def __init__(self, stream: IO[bytes], path: Path, kind: str, limit: int | None) -> None:
        self._stream, self._path, self._kind = stream, path, kind
        most = max(RATIO_FROM, MAX_RATIO * path.stat().st_size)
        self._most = most if limit is None else min(most, limit)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._stream.read(len(buffer))
        except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as problem:
            raise _damaged(self._path, self._kind, problem) from problem
        self._total += len(chunk)
        if self._total > self._most:
            raise SeasDataError(
                f"{self._path} unpacks to more than {self._most:,} bytes, which looks like a decompression bomb; if it "
                f"is none, unpack it yourself and give the unpacked file"
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _damaged(path: Path, kind: str, problem: Exception) -> SeasDataError:
    reason = " ".join(str(problem).split()) or type(problem).__name__
    return SeasDataError(f"{path} is a {kind} file that is damaged or cut off ({reason}); get it again")


def _looks_like_utf_16(content: bytes) -> bool:
    """Return whether most bytes in even or in odd places of a text without a byte-order mark are NUL."""
    start = content[:1_000]
    if len(start) < 8 or any(content.startswith(mark) for mark, _ in _BYTE_ORDER_MARKS):
        return False
    return any(start[at::2].count(0) > 0.4 * len(start) / 2 and start[1 - at :: 2].count(0) == 0 for at in (0, 1))
