"""The stages of a build: reused under the same key with their times, computed again under another."""

import errno
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.store.stages import Stages

FRAME = pl.DataFrame({"word": ["a", "b"]})


def test_a_finished_stage_is_reused_with_the_time_that_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        times = iter([10.0, 20.5])
        patched.setattr("time.perf_counter", lambda: next(times))
        first = Stages(tmp_path, "key")
        first.run("write", 5, lambda: {"words": FRAME})
    later = Stages(tmp_path, "key")
    again = later.run("write", 5, lambda: pytest.fail("the stage is finished"))
    assert again["words"].equals(FRAME)
    assert later.runs("v0", "{}")["seconds"].to_list() == [10.5]
    assert later.runs("v0", "{}").equals(first.runs("v0", "{}"))


def test_another_key_removes_the_stages_and_keeps_the_generation_cache(tmp_path: Path) -> None:
    first = Stages(tmp_path, "key")
    first.run("write", 2, lambda: {"words": FRAME})
    first.generation_cache.mkdir()
    (first.generation_cache / "one").touch()
    other = Stages(tmp_path, "other")
    assert not first.folder.exists()
    assert other.generation_cache == first.generation_cache
    assert (other.generation_cache / "one").exists()


def test_other_code_of_the_models_removes_the_generation_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Stages(tmp_path, "key")
    first.generation_cache.mkdir(parents=True)
    monkeypatch.setattr("seas_data.store.stages.code_digest", lambda room: f"other code of {room}")
    assert Stages(tmp_path, "key").generation_cache != first.generation_cache
    assert not first.generation_cache.exists()


FRAMES = {"words": FRAME, "numbers": pl.DataFrame({"number": range(40)})}


def flip_bit(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def stage_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run_counted(folder: Path) -> tuple[dict[str, pl.DataFrame], int]:
    """Return the frames of a stage, and how often it was computed."""
    computed = []

    def compute() -> dict[str, pl.DataFrame]:
        computed.append(1)
        return FRAMES

    return Stages(folder, "key").run("write", 5, compute), len(computed)


def same(frames: dict[str, pl.DataFrame]) -> bool:
    return frames.keys() == FRAMES.keys() and all(frames[name].equals(FRAMES[name]) for name in FRAMES)


@pytest.mark.parametrize("bits", [pytest.param(8, id="sample"), pytest.param(400, id="many", marks=pytest.mark.slow)])
def test_a_stage_with_a_flipped_bit_is_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bits: int
) -> None:
    run_counted(tmp_path)
    for path in stage_files(tmp_path):
        size = 8 * path.stat().st_size
        for number in range(bits):
            flip_bit(path, size * number // bits + number % 8)
            capsys.readouterr()
            frames, computed = run_counted(tmp_path)
            assert computed == 1, (path.name, number)
            assert same(frames), (path.name, number)
            assert f"{path} is damaged; the stage write is computed again" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 40, "half", "folder"])
def test_a_stage_whose_file_is_missing_garbled_or_truncated_is_computed_again(
    tmp_path: Path, content: bytes | str | None
) -> None:
    run_counted(tmp_path)
    for path in stage_files(tmp_path):
        whole = path.read_bytes()
        path.unlink()
        if content == "folder":
            path.mkdir()
        elif content is not None:
            path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
        frames, computed = run_counted(tmp_path)
        assert computed == 1, path.name
        assert same(frames)
        assert run_counted(tmp_path)[1] == 0


def test_a_stage_never_takes_the_file_of_another_stage(tmp_path: Path) -> None:
    stages = Stages(tmp_path, "key")
    stages.run("first", 1, lambda: {"words": FRAME})
    stages.run("second", 1, lambda: {"words": FRAME.reverse()})
    first, second = (stages.folder / name / "words.arrow" for name in ("first", "second"))
    first.write_bytes(second.read_bytes())
    assert Stages(tmp_path, "key").run("first", 1, lambda: {"words": FRAME})["words"].equals(FRAME)


def test_a_full_disk_leaves_no_half_written_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("seas_data.store.files.os.fsync", full)
        with pytest.raises(SeasDataError, match=r"stages.*No space left on device.*free space.*again"):
            run_counted(tmp_path / "stages")
    assert stage_files(tmp_path / "stages") == []
    assert run_counted(tmp_path / "stages")[1] == 1


def first_rows(rows: pl.DataFrame, settings: dict[str, Any]) -> pl.DataFrame:
    return rows.head(1)


def test_parts_may_be_stored_elsewhere_and_only_they_are_removed_from_there(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "other").mkdir(parents=True)
    stages = Stages(tmp_path / "stages", "key", parts=str(store))
    list(stages.parts.map(first_rows, lambda number: FRAME, 2, {}, "rows"))
    assert [path.parent.parent for path in store.rglob("first_rows-*")] == [store]
    assert not (tmp_path / "stages").exists()
    stages.remove_parts()
    assert [path.name for path in store.iterdir()] == ["other"]
    Stages(tmp_path / "stages", "key").remove_parts()
