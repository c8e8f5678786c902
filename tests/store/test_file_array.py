"""Arrays in files: as arrays in memory, without a file that stays, and with a sentence if the disk is full."""

import errno
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from seas_data.errors import SeasDataError
from seas_data.store import file_array


def test_a_small_array_is_in_memory(tmp_path: Path) -> None:
    array = file_array.new_array(tmp_path / "none", (3, 4))
    assert array.shape == (3, 4) and not file_array.is_in_file(array)
    assert list(tmp_path.iterdir()) == []


def test_a_large_array_is_in_a_file_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    array = file_array.new_array(tmp_path / "vectors", (30, 4))
    assert array.dtype == np.float32 and file_array.is_in_file(array)
    assert list((tmp_path / "vectors").iterdir()) == []
    assert (tmp_path / "vectors").stat().st_mode & 0o777 == 0o700
    array[[7, 3]] = np.arange(8).reshape(2, 4)
    assert array[3].tolist() == [4, 5, 6, 7]
    assert not file_array.is_in_file(array[np.array([3, 7])]), "chosen rows are copied to memory"
    assert not file_array.is_in_file(file_array.new_array(None, (30, 4))), "there is no folder for a file"


class Pages:
    """Stands in for the pages of a file, whose state Linux need not tell."""

    def __init__(self) -> None:
        self.advice: list[int] = []

    def madvise(self, advice: int) -> None:
        self.advice.append(advice)


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="the system takes no advice")
def test_rows_in_any_order_are_read_without_the_pages_around_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    array = file_array.new_array(tmp_path, (30, 4))
    array[:] = np.arange(120).reshape(30, 4)
    with file_array.read_in_any_order(array):
        assert array[[7, 3]].tolist() == [[28, 29, 30, 31], [12, 13, 14, 15]]
    assert isinstance(array, np.memmap)
    array._mmap = pages = Pages()  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError), file_array.read_in_any_order(array[2:]):
        assert pages.advice == [mmap.MADV_RANDOM]
        _ = 1 / 0
    assert pages.advice == [mmap.MADV_RANDOM, mmap.MADV_NORMAL]


def test_rows_in_memory_are_read_as_ever() -> None:
    with file_array.read_in_any_order(np.ones((2, 3), np.float32)):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
def test_a_full_disk_is_said_before_a_number_is_written(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, start: int, size: int) -> None:
        assert (start, size) == (0, 6_000_000_000)
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(SeasDataError, match=r"6\.0 GB of vectors could not be kept in .*\(No space .*\); free space"):
        file_array.new_array(tmp_path / "vectors", (1_500_000, 1_000))
    assert list((tmp_path / "vectors").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SeasDataError, match=r"could not be kept in .*/file \(File exists\); permit writing there"):
        file_array.new_array(tmp_path / "file", (1, 1))
