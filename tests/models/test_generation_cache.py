from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data.models import generation_cache
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling


def rows(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"r{n}", 0, text, "stop", 1, None, None, None, None) for n, text in enumerate(texts)],
        ANSWER_SCHEMA,
        orient="row",
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 50), st.integers(60, 2000), st.integers(1, 9))
def test_batches_hold_each_row_once_and_keep_within_their_limits(
    lengths: list[int], room: int, batch_tokens: int, batch_rows: int
) -> None:
    batches = generation_cache.plan_batches(np.array(lengths, np.int64), room, batch_tokens, batch_rows)

    assert sorted(int(row) for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        width = max(lengths[row] for row in batch) + room
        assert len(batch) <= batch_rows
        assert len(batch) == 1 or width * len(batch) <= batch_tokens
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_a_batch_key_covers_everything_that_determines_the_batch() -> None:
    sampling, prompt_format = Sampling(), PromptFormat()
    given = ("model", sampling, prompt_format, ["a 0 text"])
    keys = {
        generation_cache.batch_key(*given),
        generation_cache.batch_key("other model", sampling, prompt_format, ["a 0 text"]),
        generation_cache.batch_key("model", sampling.model_copy(update={"seed": 1}), prompt_format, ["a 0 text"]),
        generation_cache.batch_key("model", sampling, PromptFormat(template_kwargs={"think": False}), ["a 0 text"]),
        generation_cache.batch_key("model", sampling, prompt_format, ["a 0 text", "b 0 text"]),
        generation_cache.batch_key("model", sampling, prompt_format, [generation_cache.row_key("a", 0, "text")]),
        generation_cache.batch_key(
            "model", sampling, prompt_format, [generation_cache.row_key("a", 0, "another text")]
        ),
    }
    assert len(keys) == 7
    assert generation_cache.batch_key(*given) == generation_cache.batch_key(*given)


def test_a_stored_batch_is_read_back_and_a_damaged_file_is_named_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rows(["blue", "green"])
    generation_cache.write_batch(tmp_path, "one", batch)

    stored = generation_cache.read_batch(tmp_path, "one")
    assert stored is not None and stored.equals(batch)
    assert generation_cache.read_batch(tmp_path, "two") is None

    (tmp_path / "one.part").write_bytes(b"half a file")
    assert generation_cache.read_batch(tmp_path, "one") is None
    assert "one.part is damaged; its answers are generated again" in capsys.readouterr().err
    generation_cache.write_batch(tmp_path, "one", batch)
    assert batch.equals(generation_cache.read_batch(tmp_path, "one"))  # type: ignore[arg-type]


def test_a_flipped_bit_anywhere_in_a_stored_part_is_noticed(tmp_path: Path) -> None:
    generation_cache.write_batch(tmp_path, "one", rows(["blue", "green"]))
    path = tmp_path / "one.part"
    whole = path.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert generation_cache.read_batch(tmp_path, "one") is None
    for part in (whole[:-1], whole[:16], b"", whole + b"x"):
        path.write_bytes(part)
        assert generation_cache.read_batch(tmp_path, "one") is None
    path.write_bytes(whole)
    path.rename(tmp_path / "two.part")
    assert generation_cache.read_batch(tmp_path, "two") is None, "the digest covers the name"


def test_batch_seeds_depend_on_the_rows_and_the_sampling_seed() -> None:
    seeds = {
        generation_cache.batch_seed(Sampling(seed=seed), names)
        for seed in (0, 1)
        for names in (["a"], ["b"], ["a", "b"], ["b", "a"])
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)
