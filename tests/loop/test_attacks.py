"""Rows of ``attacks``: reasons for setting one aside, and its language."""

import polars as pl
import pytest

from seas_data import tables
from seas_data.loop.attacks import add_language, build_attacks, mark_set_aside
from tests.loop.attack_rows import draw, generated, make_prompts


def test_an_attack_that_is_not_sent_to_a_target_has_a_reason() -> None:
    seeds = draw(2)
    one, other = seeds["seed_id"]
    example = make_prompts().filter(pl.col("prompt_id") == seeds["example_ids"][0][0])["text"][0]
    texts = pl.concat(
        [
            generated(one, "a new one", f"  {example.upper()} ", " ", "a  NEW one", "cut"),
            generated(other, "a new one", "another", None),
        ]
    ).with_columns(
        finish_reason=pl.when(pl.col("text") == "cut")
        .then(pl.lit("length"))
        .when(pl.col("text").is_null())
        .then(pl.lit("error"))
        .otherwise("finish_reason")
    )
    attacks = build_attacks(texts, seeds, model="R0", iteration=1, settings_id="s")
    assert attacks["prompt_id"].is_unique().all()
    assert attacks["reason"].null_count() == attacks.height
    marked = mark_set_aside(attacks, seeds, make_prompts())
    reasons = {(row["seed_id"], row["number"]): row["reason"] for row in marked.iter_rows(named=True)}
    assert reasons == {
        (one, 0): None,
        (one, 1): "repeats_example",
        (one, 2): "empty",
        (one, 3): "repeated",
        (one, 4): "cut_off",
        (other, 0): "repeated",
        (other, 1): None,
        (other, 2): "failed",
    }
    with_repeats = mark_set_aside(attacks, seeds, make_prompts(), repeats=False)
    assert with_repeats["reason"].drop_nulls().sort().to_list() == ["cut_off", "empty", "failed"]


@pytest.mark.parametrize(
    ("languages", "expected"),
    [(["en", "de", "en"], "en"), (["en", "de", None], "de"), ([None, None, "fr"], "fr"), ([None] * 3, None)],
)
def test_an_attack_has_the_language_of_most_examples_of_its_seed(
    languages: list[str | None], expected: str | None
) -> None:
    seeds = pl.DataFrame({"seed_id": ["s"], "example_ids": [["a", "b", "c"]]})
    examples = pl.DataFrame({"prompt_id": ["a", "b", "c"], "language": pl.Series(languages, dtype=pl.String)})
    attacks = pl.DataFrame({"seed_id": ["s", "s"], "number": [1, 0]})
    result = add_language(attacks, seeds, examples)
    assert result["number"].to_list() == [1, 0]
    assert result["language"].to_list() == [expected] * 2


def test_attacks_written_before_their_validity_was_recorded_are_read() -> None:
    seeds = draw(1)
    attacks = build_attacks(generated(seeds["seed_id"][0], "x"), seeds, model="R0", iteration=1, settings_id="s")
    assert tables.cast("attacks", attacks.drop("invalid")).equals(attacks)
