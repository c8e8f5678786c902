"""The stages of a build: reused under the same key with their times, computed again under another."""

from pathlib import Path

import polars as pl
import pytest

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
