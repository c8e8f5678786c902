from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from seas_data import recipe, tables
from seas_data.errors import SeasDataError
from seas_data.pairs import PairResult, general_pairs, select_held_out, summarize
from seas_data.text import text_digest
from tests.pairs.worlds import NOTHING


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "source": "questions",
            "source_id": [str(i) for i in range(count)],
            "prompt": [f"question {i}" for i in range(count)],
            "chosen": [f"answer {i}" for i in range(count)],
            "rejected": "I cannot say.",
        }
    )


def general(
    given: pl.DataFrame, pairs: int = 10, iteration: int = 1, held_out: pl.DataFrame = NOTHING, **rules: Any
) -> PairResult:
    settings = recipe.Pairs(general=recipe.GeneralPairs(**rules))
    return general_pairs(given, settings, pairs=pairs, iteration=iteration, held_out=held_out)


def one_test_prompt(text: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a prompt of the split test, and the splits."""
    prompts = pl.DataFrame({"prompt_id": ["x"], "text": [text], "text_digest": [text_digest(text)], "role": ["train"]})
    return prompts, pl.DataFrame({"prompt_id": ["x"], "split": ["test"]})


def test_as_many_as_the_ratio_or_the_count_says() -> None:
    assert general(rows(50)).pairs.height == 10
    assert general(rows(50), ratio=2.5).pairs.height == 25
    assert general(rows(50), count=3).pairs.height == 3
    assert general(rows(50), pairs=0).pairs.height == 0
    assert general(rows(4)).pairs.height == 4
    used = general(rows(50), count=3)
    assert used.unpaired.height == 47 and set(used.unpaired["reason"]) == {"cap"}
    assert summarize("general", used.pairs, used.unpaired) == (
        "3 general pairs; 47 general pairs in none: 47 over the number asked for"
    )
    with pytest.raises(ValueError, match="either ratio or count"):
        recipe.GeneralPairs(ratio=1, count=1)


def test_a_count_for_each_iteration_the_last_for_all_that_follow() -> None:
    drawn = [general(rows(50), iteration=iteration, count=[5, 12]).pairs.height for iteration in (1, 2, 3)]
    assert drawn == [5, 12, 12]
    with pytest.raises(ValueError, match="at least 1 item"):
        recipe.GeneralPairs(count=[])


def test_each_iteration_draws_its_own_and_the_order_of_the_set_does_not_matter() -> None:
    first, again, second = general(rows(50)), general(rows(50)[::-1]), general(rows(50), iteration=2)
    assert_frame_equal(first.pairs, again.pairs)
    assert set(first.pairs["prompt_id"]) != set(second.pairs["prompt_id"])
    assert not set(first.pairs["pair_id"]) & set(second.pairs["pair_id"])


def test_lineage_and_both_forms_of_a_row() -> None:
    texts = rows(2)
    lists = texts.with_columns(
        pl.concat_list(pl.struct(role=pl.lit(role), content=name)).alias(name)
        for name, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))
    )
    assert_frame_equal(general(texts).pairs, general(lists).pairs)
    pair = general(texts).pairs.row(0, named=True)
    assert pair["role"] == "general" and pair["source"] == "questions"
    assert pair["prompt"][0]["role"] == "user" and pair["chosen"][0]["role"] == "assistant"
    assert pair["chosen"][0]["content"].removeprefix("answer ") == pair["prompt"][0]["content"].removeprefix(
        "question "
    )


def test_pairs_that_say_nothing_or_are_held_out_are_not_drawn() -> None:
    given = rows(4).with_columns(
        prompt=pl.Series(["a test question", " ", "question", "question"]),
        chosen=pl.Series(["answer", "answer", "the same", "answer"]),
        rejected=pl.Series(["other", "other", "the same ", None]),
    )
    held_out = select_held_out(*one_test_prompt("A test  question"))
    found = general(given, held_out=held_out)
    assert_frame_equal(found.pairs, tables.empty("pairs"))
    assert sorted(found.unpaired["reason"]) == ["empty", "empty", "held_out", "repeated"]


def test_a_pair_with_a_held_out_text_in_an_earlier_user_turn_is_not_drawn() -> None:
    turn = {"role": "user", "content": "And in Spring?"}
    earlier = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": reply}, turn]
        for text, reply in (("A test question", "x"), ("Another question", "x"), ("Why?", "a test question"))
    ]
    given = rows(3).with_columns(
        pl.Series("prompt", earlier),
        pl.concat_list(pl.struct(role=pl.lit("assistant"), content="chosen")).alias("chosen"),
        pl.concat_list(pl.struct(role=pl.lit("assistant"), content="rejected")).alias("rejected"),
    )
    held_out = select_held_out(*one_test_prompt("a test question"))
    found = general(given, held_out=held_out)
    assert found.unpaired["reason"].to_list() == ["held_out", "held_out"]
    assert found.pairs["prompt"].list.first().struct.field("content").to_list() == ["Another question"]


def test_two_rows_of_one_number_are_refused() -> None:
    with pytest.raises(SeasDataError, match="same source and source_id"):
        general(pl.concat([rows(2), rows(1)]))
