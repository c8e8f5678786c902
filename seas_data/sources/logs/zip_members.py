"""Members of a ZIP archive, read by name and never extracted to disk.

`zipfile` reads the directory of the archive. The members are unpacked here, because newer tools compress them with
zstd, which the `zipfile` of Python 3.11 cannot read, and because the size of each must be bounded.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from seas_data.errors import SeasDataError

MAX_MEMBERS: Final = 2_000_000
"""An archive with more members than this is refused."""
MAX_MEMBER_BYTES: Final = 512 << 20
"""A member with more bytes than this, after decompression, is refused."""
MAX_RATIO: Final = 1_000
"""A member that unpacks to more than this many times its size is refused as a decompression bomb."""
_RATIO_FROM: Final = 16 << 20
_ZSTD: Final = (93, 20)
_ENCRYPTED: Final = 0x1
_CHUNK: Final = 1 << 20


class MemberError(Exception):
    """A member that cannot be read, and why."""


class ZipMembers:
    """The members of an open archive. If a name occurs more than once, the last one counts, as for `zipfile`."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile) -> None:
        self._file = file
        self._members = {info.filename: info for info in archive.infolist() if not info.is_dir()}

    def names(self) -> list[str]:
        """Return the names of the members in the order of the archive."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Return the content of a member. Raises MemberError if it is missing, damaged, encrypted or too large."""
        info = self._members.get(name)
        if info is None:
            raise MemberError("it is not in the archive")
        if info.flag_bits & _ENCRYPTED:
            raise MemberError("it is encrypted")
        most = min(MAX_MEMBER_BYTES, max(_RATIO_FROM, MAX_RATIO * info.compress_size))
        try:
            self._file.seek(info.header_offset)
            header = self._file.read(30)
            if header[:4] != b"PK\x03\x04":
                raise MemberError("it is damaged")
            self._file.seek(sum(struct.unpack("<HH", header[26:30])), 1)
            if info.compress_size > MAX_MEMBER_BYTES:
                raise MemberError(f"it has more than {MAX_MEMBER_BYTES:,} bytes")
            content = _unpack(self._file.read(info.compress_size), info.compress_type, most)
        except (OSError, ValueError, struct.error, zlib.error, pa.ArrowException) as problem:
            raise MemberError("it is damaged") from problem
        if zlib.crc32(content) != info.CRC:
            raise MemberError("it is damaged: its checksum does not match")
        return content


@contextmanager
def open_zip(path: Path) -> Iterator[ZipMembers]:
    """Open an archive for reading. Raises SeasDataError if it is none, or is damaged, or has too many members."""
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, struct.error, ValueError) as problem:
            reason = " ".join(str(problem).split()) or type(problem).__name__
            raise SeasDataError(f"{path} is not a ZIP archive that can be read ({reason}); get it again") from problem
        with archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise SeasDataError(f"{path} has more than {MAX_MEMBERS:,} members; split the log")
            yield ZipMembers(file, archive)


def _unpack(content: bytes, method: int, most: int) -> bytes:
    if method == zipfile.ZIP_STORED:
        unpacked = content
    elif method == zipfile.ZIP_DEFLATED:
        unpack = zlib.decompressobj(-15)
        unpacked = unpack.decompress(content, most + 1)
        if not unpack.eof and len(unpacked) <= most:
            raise MemberError("it is cut off")
    elif method in _ZSTD:
        chunks, size = [], 0
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            while size <= most and (chunk := stream.read(_CHUNK)):
                chunks.append(chunk)
                size += len(chunk)
        unpacked = b"".join(chunks)
    else:
        raise MemberError(f"its compression (method {method}) is not known")
    if len(unpacked) > most:
        raise MemberError(f"it unpacks to more than {most:,} bytes")
    return unpacked
