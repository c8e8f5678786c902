"""A tiny model made from scratch, and requests for it."""

from pathlib import Path

import polars as pl
import pytest

WORDS = [
    "what",
    "colour",
    "is",
    "the",
    "door",
    "of",
    "a",
    "house",
    "blue",
    "green",
    "red",
    "safe",
    "unsafe",
    "Yes",
    "No",
]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained Llama model that knows a few words."""
    from seas_data.sandbox.tiny import write_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder, layers=1, seed=3, hidden=32, heads=2, intermediate=64, positions=96, vocabulary=WORDS)
    return folder


@pytest.fixture
def requests() -> pl.DataFrame:
    return create_requests(12)


def create_requests(count: int) -> pl.DataFrame:
    """Requests of different lengths."""
    return pl.DataFrame(
        {
            "request_id": [f"request-{number:04}" for number in range(count)],
            "messages": [
                [{"role": "user", "content": " ".join(WORDS[: 1 + (5 * number) % 7])}] for number in range(count)
            ],
        }
    )
