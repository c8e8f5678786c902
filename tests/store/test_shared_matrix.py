"""A matrix that units share: written once, checked by whoever reads it, and written again if it is damaged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.store.part_folder import LocalFolder
from seas_data.store.parts import Parts, Unit
from seas_data.store.shared_matrix import Matrix, choose_rows, read_matrix

VALUES = np.arange(60, dtype=np.float32).reshape(20, 3)
SLICES = [pl.DataFrame({"row": [2 * at, 2 * at + 1]}) for at in range(10)]


def sums(rows: pl.DataFrame, settings: Mapping[str, Any], matrix: Matrix) -> pl.DataFrame:
    return pl.DataFrame({"sum": matrix.values[rows["row"].to_numpy()].sum(axis=1) * settings["factor"]})


class Forgetful:
    """An engine that runs units in a process that has read no matrix yet."""

    def __init__(self) -> None:
        self.ran = 0

    def run(self, function: Any, units: Any, count: int, what: str, *, gpus: int = 0) -> None:
        for unit in units:
            read_matrix.cache_clear()
            function(unit)
            self.ran += 1


def mapped(parts: Parts, factor: int = 1, values: np.ndarray = VALUES) -> list[float]:
    frames = parts.map(sums, SLICES.__getitem__, 10, {"factor": factor}, "sums", matrix=Matrix(values))
    return [float(value) for frame in frames for value in frame["sum"]]


def test_units_read_the_rows_of_the_matrix_and_other_numbers_are_other_parts(tmp_path: Path) -> None:
    engine = Forgetful()
    expected = VALUES.sum(axis=1).tolist()
    assert mapped(Parts(None)) == mapped(Parts(tmp_path, engine)) == mapped(Parts(tmp_path)) == expected
    assert engine.ran == 10
    assert mapped(Parts(tmp_path, engine), values=VALUES + 1) == [value + 3 for value in expected]
    assert engine.ran == 20
    assert mapped(Parts(tmp_path, engine), values=VALUES[:, ::-1]) == expected
    assert engine.ran == 30
    assert len(list(tmp_path.glob("matrix-*"))) == 3


def test_a_damaged_matrix_is_refused_by_a_worker_and_written_again_by_the_next_build(tmp_path: Path) -> None:
    units: list[Unit] = []

    class Recorder:
        def run(self, function: Any, given: Any, count: int, what: str, *, gpus: int = 0) -> None:
            units.extend(given)

    expected = mapped(Parts(tmp_path, Recorder()))
    path = next(tmp_path.glob("matrix-*"))
    whole = path.read_bytes()
    for damaged in (whole[:-4], bytes([whole[0] ^ 1]) + whole[1:], b""):
        path.write_bytes(damaged)
        read_matrix.cache_clear()
        with pytest.raises(SeasDataError, match=r"matrix-\w+ in .* is missing or damaged; run the command again"):
            units[0].store()
        assert mapped(Parts(tmp_path, Forgetful()), factor=2 + len(damaged)) == [
            (2 + len(damaged)) * value for value in expected
        ]
        assert path.read_bytes() == whole
    path.unlink()
    read_matrix.cache_clear()
    with pytest.raises(SeasDataError, match="is missing or damaged"):
        units[0].store()


def test_chosen_rows_are_a_matrix_that_copies_nothing(tmp_path: Path) -> None:
    chosen = choose_rows(VALUES, np.array([5, 2, 19]))
    assert chosen.values is VALUES and chosen.shape == (3, 3) and len(chosen) == 3
    assert chosen[1:].tolist() == VALUES[[2, 19]].tolist()
    assert chosen.select(np.array([2, 0]))[:].tolist() == VALUES[[19, 5]].tolist()
    assert choose_rows(VALUES, np.arange(20)).chosen is None
    assert chosen.name == Matrix(VALUES[[5, 2, 19]]).name
    chosen.write(LocalFolder(tmp_path))
    assert read_matrix(LocalFolder(tmp_path), chosen.name, chosen.shape)[:].tolist() == chosen[:].tolist()


def test_the_numbers_of_a_read_matrix_are_those_of_the_written_one(tmp_path: Path) -> None:
    matrix = Matrix(np.random.default_rng(1).normal(size=(40_000, 5)).astype(np.float32))
    matrix.write(LocalFolder(tmp_path))
    read = read_matrix(LocalFolder(tmp_path), matrix.name, (40_000, 5))
    assert read.values.tobytes() == matrix.values.tobytes()
    assert read is read_matrix(LocalFolder(tmp_path), matrix.name, (40_000, 5))
