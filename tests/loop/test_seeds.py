"""Seeds: drawn from prompts of one type, apportioned to types; on a small invented world, and with hypothesis."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.loop.seeds import apportion, compute_weakness, draw_demonstrations, draw_seeds
from tests.conftest import examples
from tests.loop.attack_rows import SETTINGS, draw, make_prompts
from tests.taxonomies import TYPES

STREAM = (0, "attack")


def test_a_seed_shows_different_prompts_of_its_type_in_their_own_words() -> None:
    seeds = draw()
    assert seeds.height == 40
    prompts = make_prompts()
    for row in seeds.iter_rows(named=True):
        shown = pl.DataFrame({"prompt_id": row["example_ids"]}).join(prompts, on="prompt_id", maintain_order="left")
        assert shown["prompt_id"].n_unique() == 3
        assert set(shown["type"]) == {row["type"]}
        assert row["text"] == " | ".join(shown["text"])


def test_seeds_do_not_depend_on_the_order_of_prompts_and_differ_between_iterations() -> None:
    shuffled = make_prompts().sample(fraction=1, shuffle=True, seed=3)
    again = draw_seeds(shuffled, 40, SETTINGS, types=TYPES, iteration=1, split="train", random_stream=STREAM)
    assert again.equals(draw())
    later = draw_seeds(make_prompts(), 40, SETTINGS, types=TYPES, iteration=2, split="train", random_stream=STREAM)
    assert set(map(tuple, later["example_ids"])) != set(map(tuple, draw()["example_ids"]))


def test_types_are_apportioned_by_size_uniformly_or_by_weakness() -> None:
    def counts(frame: pl.DataFrame) -> dict[str, int]:
        return dict(frame.group_by("type").len().iter_rows())

    assert counts(draw(44)) == {"Role Play": 24, "Goal Hijacking": 12, "Health Harm": 8}, "2 prompts are fewer than 3"
    uniform = counts(draw(9, seed_types="uniform"))
    assert uniform == {"Role Play": 3, "Goal Hijacking": 3, "Health Harm": 3}
    weak = draw_seeds(
        make_prompts(),
        20,
        SETTINGS.model_copy(update={"seed_types": "weakness"}),
        types=TYPES,
        iteration=1,
        split="train",
        random_stream=(0, "attack"),
        weakness={"Role Play": 0.6, "Goal Hijacking": 0.2, "Health Harm": 0.2},
    )
    assert counts(weak) == {"Role Play": 12, "Goal Hijacking": 4, "Health Harm": 4}


def test_types_that_the_taxonomy_does_not_have_are_an_error() -> None:
    with pytest.raises(
        SeasDataError, match="types of the prompts in train, such as Goal Hijacking, are not in the taxo"
    ):
        draw_seeds(
            make_prompts(), 8, SETTINGS, types=["Sweet"], iteration=1, split="train", random_stream=(0, "attack")
        )


def test_too_few_prompts_of_every_type_is_an_error() -> None:
    with pytest.raises(SeasDataError, match="no type has 300 prompts in train, the number of examples of a seed; add"):
        draw(4, examples_per_seed=300)


@examples(50)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.integers(0, 500))
def test_apportioned_counts_add_up_and_differ_from_exact_by_less_than_one(weights: list[float], count: int) -> None:
    counts = apportion(weights, count)
    assert sum(counts) == count
    assert all(
        abs(part - count * weight / sum(weights)) < 1 + 1e-6 for part, weight in zip(counts, weights, strict=True)
    )


def test_a_demonstration_asks_for_a_prompt_that_is_not_shown() -> None:
    seeds, rows = draw_demonstrations(make_prompts(), 50, SETTINGS, types=TYPES, random_stream=(0, "red"))
    both = rows.join(seeds, on="seed_id")
    assert both.height == rows.height >= 30
    assert all(completion not in shown for completion, shown in both["completion_id", "example_ids"].iter_rows())
    texts = dict(make_prompts().select("prompt_id", "text").iter_rows())
    assert rows["completion"].list.first().struct.field("content").to_list() == [
        texts[prompt] for prompt in rows["completion_id"]
    ]
    assert both["prompt"].list.first().struct.field("content").equals(both["text"].alias("content"))


def test_weakness_is_the_smoothed_proportion_of_unsafe_verdicts() -> None:
    attacks = pl.DataFrame({"prompt_id": ["a", "b", "c", "d"], "seed_id": ["s", "s", "s", "t"]})
    seeds = pl.DataFrame({"seed_id": ["s", "t"], "type": ["Health Harm", None]})
    counts = pl.DataFrame({"prompt_id": ["a", "b", "c", "d"], "valid": [4, 2, 5, 3], "unsafe": [2, 2, 2, 3]})
    assert compute_weakness(attacks, seeds, counts) == {"Health Harm": pytest.approx(7 / 13)}
