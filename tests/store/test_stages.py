"""What a build has done so far: kept by its key, told with the time that it took."""

from pathlib import Path

import polars as pl
import pytest

from seas_data.store.stages import Stages

FRAME = pl.DataFrame({"word": ["a", "b"]})


def test_a_stage_that_was_done_before_is_told_with_the_time_that_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        times = iter([10.0, 20.5])
        patched.setattr("time.perf_counter", lambda: next(times))
        first = Stages(tmp_path, "key")
        first.run("write", 5, lambda: {"words": FRAME})
    later = Stages(tmp_path, "key")
    again = later.run("write", 5, lambda: pytest.fail("it is done"))
    assert again["words"].equals(FRAME)
    assert later.runs("v0", "{}")["seconds"].to_list() == [10.5]
    assert later.runs("v0", "{}").equals(first.runs("v0", "{}"))


def test_another_build_forgets_the_stages_and_keeps_the_parts(tmp_path: Path) -> None:
    first = Stages(tmp_path, "key")
    first.run("write", 2, lambda: {"words": FRAME})
    first.parts.mkdir()
    (first.parts / "one").touch()
    other = Stages(tmp_path, "other")
    assert not first.folder.exists()
    assert other.parts == first.parts
    assert (other.parts / "one").exists()
