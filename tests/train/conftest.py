"""A tiny world to train in: one-layer models that know twenty words, and rows in which a colour is asked for."""

from pathlib import Path

import polars as pl
import pytest

from seas_data.recipe import TrainingDpo, TrainingSft
from seas_data.sandbox.tiny import write_model

THINGS = ("door", "lock", "lamp", "boat", "bell", "rope", "sail", "well")
WORDS = [*THINGS, "red", "which", "colour", "has", "the", "it", "is", "please", "no"]
SMALL = {
    "max_length": 40,
    "device": "cpu",
    "precision": "fp32",  # figures are compared, on any processor
    "gradient_checkpointing": False,
    "logging_steps": 2,
    "batch_size": 8,
}


def supervised(**changes: object) -> TrainingSft:
    return TrainingSft.model_validate({"learning_rate": 3e-3, "epochs": 2, **SMALL, **changes})


def preference(**changes: object) -> TrainingDpo:
    return TrainingDpo.model_validate({"learning_rate": 1e-3, **SMALL, **changes})


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model."""
    folder = tmp_path_factory.mktemp("base") / "base"
    write_model(folder, layers=1, seed=0, hidden=32, heads=2, intermediate=64, positions=64, vocabulary=sorted(WORDS))
    return folder


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """What to say: 32 questions of different lengths, and one answer to all of them."""
    return pl.DataFrame(
        [
            {"prompt": " ".join(["please"] * k + ["which colour has the", thing]), "completion": "it is red"}
            for k in range(4)
            for thing in THINGS
        ]
    )


@pytest.fixture(scope="session")
def pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """The colour against none, as lists of messages."""

    def turn(role: str, column: str) -> pl.Expr:
        return pl.concat_list(pl.struct(pl.lit(role).alias("role"), pl.col(column).alias("content")))

    texts = rows.with_columns(no=pl.lit("no the no"))
    return texts.select(
        prompt=turn("user", "prompt"), chosen=turn("assistant", "completion"), rejected=turn("assistant", "no")
    )
