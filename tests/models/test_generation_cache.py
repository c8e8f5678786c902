from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.models import generation_cache
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling
from tests.conftest import examples


def rows(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"r{n}", 0, text, "stop", 1, None, None, None, None) for n, text in enumerate(texts)],
        ANSWER_SCHEMA,
        orient="row",
    )


@examples(50)
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


def test_the_keys_of_an_answer_cover_everything_that_determines_it_but_not_its_batch() -> None:
    sampling, prompt_format = Sampling(), PromptFormat()
    given = ("model", sampling, prompt_format)
    settings = {
        generation_cache.settings_key(*given),
        generation_cache.settings_key("other model", sampling, prompt_format),
        generation_cache.settings_key("model", sampling.model_copy(update={"seed": 1}), prompt_format),
        generation_cache.settings_key("model", sampling, PromptFormat(template_kwargs={"think": False})),
    }
    assert len(settings) == 4
    assert generation_cache.settings_key(*given) in settings
    content = [("a", 0, "text"), ("b", 0, "text"), ("a", 1, "text"), ("a", 0, "another text")]
    assert len({generation_cache.row_key(*each) for each in content}) == 4


def test_stored_answers_are_read_back_and_a_damaged_file_is_named_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rows(["blue", "green"])
    generation_cache.write_batch(tmp_path, "one", ["a", "b"], batch)

    stored = generation_cache.read_answers(tmp_path, "one", ["a", "b"])
    assert stored.drop("row_key").equals(batch) and stored["row_key"].to_list() == ["a", "b"]
    assert generation_cache.read_answers(tmp_path, "two", ["a", "b"]).is_empty()

    (path,) = tmp_path.iterdir()
    path.write_bytes(b"half a file")
    assert generation_cache.read_answers(tmp_path, "one", ["a", "b"]).is_empty()
    assert f"{path.name} is damaged; its answers are generated again" in capsys.readouterr().err
    generation_cache.write_batch(tmp_path, "one", ["a", "b"], batch)
    assert generation_cache.read_answers(tmp_path, "one", ["a", "b"]).equals(stored)


def test_stored_answers_serve_other_batches(tmp_path: Path) -> None:
    generation_cache.write_batch(tmp_path, "one", ["a", "b"], rows(["blue", "green"]))
    generation_cache.write_batch(tmp_path, "one", ["b", "c"], rows(["another", "red"]))
    stored = generation_cache.read_answers(tmp_path, "one", ["d", "c", "b"])
    assert set(stored["row_key"]) == {"b", "c"}, "one row for each key that is stored"


@pytest.mark.slow
def test_a_flipped_bit_anywhere_in_a_stored_part_is_noticed(tmp_path: Path) -> None:
    generation_cache.write_batch(tmp_path, "one", ["a", "b"], rows(["blue", "green"]))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()

    def is_read() -> bool:
        return generation_cache.read_answers(tmp_path, "one", ["a", "b"]).height > 0

    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert not is_read()
    for part in (whole[:-1], whole[:16], b"", whole + b"x"):
        path.write_bytes(part)
        assert not is_read()
    path.write_bytes(whole)
    assert is_read()
    path.rename(tmp_path / "one-other.part")
    assert not is_read(), "the digest covers the name"


def test_seeds_depend_on_the_answer_and_the_sampling_seed() -> None:
    seeds = {generation_cache.answer_seed(Sampling(seed=seed), key) for seed in (0, 1) for key in ("a", "b")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**128 for seed in seeds)
