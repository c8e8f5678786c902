import polars as pl

from seas_data.pairs import select_held_out
from seas_data.pairs.holdout import find_held_out
from seas_data.pairs.reasons import REASONS
from seas_data.tables import UNPAIRED_REASONS
from seas_data.text import content_id, text_digest


def test_held_out_is_whatever_lies_outside_train() -> None:
    prompts = pl.DataFrame(
        {
            "prompt_id": ["train", "test", "harmless", "holdout", "dropped", "dropped holdout"],
            "role": ["training", "training", "training", "holdout", "training", "holdout"],
        }
    ).with_columns(text_digest=pl.col("prompt_id").map_elements(text_digest, return_dtype=pl.String))
    splits = pl.DataFrame({"prompt_id": ["train", "test", "harmless", "holdout"]}).with_columns(split="prompt_id")
    found = select_held_out(prompts, splits)
    assert sorted(found["prompt_id"]) == ["dropped holdout", "harmless", "holdout", "test"]
    assert found.columns == ["prompt_id", "text_digest", "leak_digest"]
    asked = pl.DataFrame({"prompt_id": ["a", "test", "b"], "text": ["HOLDOUT", "else", "train"]})
    assert find_held_out(asked, found).to_list() == ["a", "test"]


def test_disguised_copies_of_held_out_prompts_are_held_out() -> None:
    prompts = pl.DataFrame({"prompt_id": ["h"], "role": ["holdout"], "text": ["what is in the box?"]})
    prompts = prompts.with_columns(text_digest=pl.col("text").map_elements(text_digest, return_dtype=pl.String))
    held_out = select_held_out(prompts, pl.DataFrame(schema={"prompt_id": pl.String, "split": pl.String}))
    texts = ["wh\u0430t is in the box?", "what is\u200b in the box?", "\uff57hat is in the box?", "what is in it?"]
    asked = pl.DataFrame({"prompt_id": ["cyrillic", "zero-width", "wide", "other"], "text": texts})
    assert find_held_out(asked, held_out).to_list() == ["cyrillic", "wide", "zero-width"]
    withheld = prompts.with_columns(text=pl.lit(None, pl.String), leak_digest="text_digest")
    held_out = select_held_out(withheld, pl.DataFrame(schema={"prompt_id": pl.String, "split": pl.String}))
    assert find_held_out(asked, held_out).to_list() == ["cyrillic", "wide", "zero-width"], "in a public release, too"
    of_version_1 = withheld.with_columns(leak_digest=pl.lit(content_id("text", "what is in the \u0299ox?")))
    held_out = select_held_out(of_version_1, pl.DataFrame(schema={"prompt_id": pl.String, "split": pl.String}))
    asked = asked.with_columns(text=pl.lit("wh\u0430t is in the \u0299ox?")).head(1)  # \u0299 is a small capital
    assert find_held_out(asked, held_out).to_list() == ["cyrillic"], "and one that an earlier release wrote"


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) == set(UNPAIRED_REASONS)
