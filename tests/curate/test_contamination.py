"""Contamination: what is too close to a holdout prompt goes, contrasts stay, and the holdout itself is untouched."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seas_data.curate.contamination import compared_texts, find_contaminated
from seas_data.curate.outcome import DECISION_COLUMNS, Outcome, without
from seas_data.recipe import Contamination
from seas_data.similarity.embeddings import Embedded
from seas_data.text import text_digest
from tests.curate.settings import CONTAMINATION

TEA = "Which teapot keeps green tea warm for the longest time?"
OTHERS = [
    f"How does one {verb} a {thing}?" for verb in ("mend", "paint", "carry") for thing in ("kite", "boat", "lamp")
]


def prompts(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    """Rows of (id, role, kind, text), and some that have nothing to do with any."""
    others = [(f"other{at}", "training", "general", text) for at, text in enumerate(OTHERS)]
    frame = pl.DataFrame([*rows, *others], schema=["prompt_id", "role", "kind", "text"], orient="row")
    return frame.with_columns(text_digest=pl.col("text").map_elements(text_digest, pl.String))


def embedded(frame: pl.DataFrame, vectors: dict[str, tuple[str, float]]) -> Embedded:
    """Unit vectors in a plane, by prompt: the model and the angle in degrees."""
    models = [vectors.get(name, (None, 0.0))[0] for name in frame["prompt_id"]]
    lookup = frame.select(
        model=pl.Series(models, dtype=pl.String),
        row=pl.int_range(frame.height, dtype=pl.Int64),
        windows=pl.lit(1, pl.Int64),
    )
    angles = np.deg2rad([vectors.get(name, (None, 0.0))[1] for name in frame["prompt_id"]])
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Embedded(lookup, dict.fromkeys((model for model in models if model), matrix))


def drop(frame: pl.DataFrame, vectors: Embedded | None, settings: Contamination) -> Outcome:
    decisions = find_contaminated(frame, vectors, settings)
    return Outcome(without(frame, decisions.filter(decision="drop")["prompt_id"]), decisions)


def verdicts(outcome: Outcome) -> dict[str, tuple[str, str, str]]:
    return {
        name: (decision, witness, detail)
        for name, decision, witness, detail in outcome.decisions.select(
            "prompt_id", "decision", "witness_id", "detail"
        ).iter_rows()
    }


def test_copies_and_quotes_of_a_holdout_prompt_are_dropped_with_score_and_witness() -> None:
    frame = prompts(
        ("test", "holdout", "adversarial", TEA),
        ("copy", "training", "adversarial", TEA.upper()),
        ("quote", "training", "adversarial", f"Dear all, my aunt asks: {TEA} Yours, a neighbour from the third floor."),
        ("apart", "training", "adversarial", "Which teapot is the prettiest of them all?"),
    )
    outcome = drop(frame, None, CONTAMINATION)
    assert verdicts(outcome) == {"copy": ("drop", "test", "ngram"), "quote": ("drop", "test", "ngram")}
    assert outcome.decisions.schema == pl.Schema(DECISION_COLUMNS)
    assert outcome.decisions["score"].to_list() == [1.0, 1.0]
    assert outcome.decisions["threshold"].to_list() == [0.8, 0.8]
    assert set(outcome.decisions["reason"]) == {"contaminated"}
    assert outcome.kept.equals(frame.filter(~pl.col("prompt_id").is_in(["copy", "quote"])))


def test_a_long_text_is_contaminated_if_every_window_has_a_partner() -> None:
    windows = {
        "test": ("holdout", "adversarial", [0, 40]),
        "short test": ("holdout", "adversarial", [200]),
        "safe test": ("holdout", "harmless", [100, 140]),
        "alike": ("training", "adversarial", [4, 41, 38]),
        "closer": ("training", "adversarial", [1, 41]),
        "half": ("training", "adversarial", [0, 90]),
        "short": ("training", "adversarial", [0]),
        "long": ("training", "adversarial", [201, 203]),
        "contrast": ("training", "adversarial", [101, 141]),
    }
    texts = {name: f"{name} {number} of the {number}th kind" for number, name in enumerate(windows)}
    rows = [(name, role, kind, texts[name]) for name, (role, kind, _) in windows.items()]
    frame = prompts(*rows)
    angles = [windows.get(name, ("", "", [300.0]))[2] for name in frame["prompt_id"]]
    counts = pl.Series([len(each) for each in angles], dtype=pl.Int64)
    lookup = frame.select(model=pl.lit("m"), row=counts.cum_sum() - counts, windows=counts)
    flat = np.deg2rad([angle for each in angles for angle in each])
    matrix = np.stack([np.cos(flat), np.sin(flat)], axis=1).astype(np.float32)
    outcome = drop(frame, Embedded(lookup, {"m": matrix}), CONTAMINATION)
    assert verdicts(outcome) == {
        "alike": ("drop", "test", "semantic"),
        "closer": ("drop", "test", "semantic"),
        "contrast": ("flag", "safe test", "semantic"),
        "long": ("drop", "short test", "semantic"),
    }
    scores = dict(outcome.decisions.select("prompt_id", "score").rows())
    assert scores["alike"] == pytest.approx(np.cos(np.radians(4)))


def test_a_training_row_of_the_opposite_kind_is_flagged_and_kept() -> None:
    frame = prompts(
        ("test", "holdout", "adversarial", TEA),
        ("safe", "training", "harmless", TEA),
        ("plain", "training", "general", TEA),
    )
    outcome = drop(frame, None, CONTAMINATION)
    assert verdicts(outcome) == {"safe": ("flag", "test", "ngram"), "plain": ("flag", "test", "ngram")}
    assert outcome.kept.equals(frame)


TEE = "Welche Teekanne hält grünen Tee über die längste Zeit warm und schön?"
LOOKS = str.maketrans({"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "y": "у", "i": "і"})


@pytest.mark.parametrize("text", [TEA, TEE])
def test_disguised_copies_of_a_holdout_prompt_are_dropped(text: str) -> None:
    disguised = {
        "wide": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        "bold": "".join(chr(0x1D41A + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in text),
        "cyrillic": text.translate(LOOKS),
        "zero-width": "\u200b".join(text),
        "soft hyphens": "\u00ad".join(text),
        "selectors": "\ufe0f".join(text),
        "tags": text + "".join(chr(0xE0000 + ord(c)) for c in "hidden"),
        "struck": "".join(c + "\u0336" if c.isascii() else c for c in text),
        "quoted": f"Dear all, my aunt asks: {chr(0x200D).join(text)} Yours, a neighbour.",
    }
    rows = [(name, "training", "adversarial", each) for name, each in disguised.items()]
    frame = prompts(("test", "holdout", "adversarial", text), *rows)
    assert verdicts(drop(frame, None, CONTAMINATION)) == dict.fromkeys(disguised, ("drop", "test", "ngram"))
    disguised_test = prompts(
        ("test", "holdout", "adversarial", disguised["wide"]), ("a", "training", "adversarial", text)
    )
    assert set(verdicts(drop(disguised_test, None, CONTAMINATION))) == {"a"}


def test_harmless_and_general_are_one_side() -> None:
    frame = prompts(("test", "holdout", "harmless", TEA), ("plain", "training", "general", TEA))
    assert verdicts(drop(frame, None, CONTAMINATION)) == {"plain": ("drop", "test", "ngram")}


def test_a_drop_precedes_a_flag_and_a_row_has_one_decision() -> None:
    near_tea = TEA.replace("longest", "very longest")
    frame = prompts(
        ("a-contrast", "holdout", "harmless", TEA),
        ("b-same", "holdout", "adversarial", near_tea),
        ("c-same", "holdout", "adversarial", near_tea),
        ("row", "training", "adversarial", TEA),
    )
    outcome = drop(frame, None, CONTAMINATION)
    assert verdicts(outcome) == {"row": ("drop", "b-same", "ngram")}
    assert outcome.decisions["score"].item() < 1


def test_the_longest_contained_holdout_prompt_is_the_witness() -> None:
    frame = prompts(
        ("a-part", "holdout", "adversarial", "Which teapot keeps green tea warm"),
        ("b-whole", "holdout", "adversarial", TEA),
        ("row", "training", "adversarial", TEA),
    )
    assert verdicts(drop(frame, None, CONTAMINATION)) == {"row": ("drop", "b-whole", "ngram")}


def test_similar_holdout_rows_are_not_dropped() -> None:
    frame = prompts(("one", "holdout", "adversarial", TEA), ("two", "holdout", "adversarial", TEA))
    outcome = drop(frame, None, CONTAMINATION)
    assert outcome.decisions.is_empty()
    assert outcome.kept.equals(frame)


def test_the_semantic_measure_needs_one_model_for_both_rows() -> None:
    frame = prompts(
        ("test", "holdout", "adversarial", "How long does a pot stay hot?"),
        ("same", "training", "adversarial", "For what time will the kettle keep its warmth?"),
        ("contrast", "training", "harmless", "Is the jug still warm in the evening?"),
        ("far", "training", "adversarial", "Where do swallows spend the winter months?"),
        ("unseen", "training", "adversarial", "Combien de temps le thé reste-t-il chaud?"),
        ("elsewhere", "training", "adversarial", "Wie lange bleibt die Kanne denn warm?"),
    )
    angles = {
        "test": ("m", 0.0),
        "same": ("m", 10.0),
        "contrast": ("m", 10.0),
        "far": ("m", 30.0),
        "elsewhere": ("other", 0.0),
    }
    outcome = drop(frame, embedded(frame, angles), CONTAMINATION)
    assert verdicts(outcome) == {"same": ("drop", "test", "semantic"), "contrast": ("flag", "test", "semantic")}
    assert outcome.decisions["score"].to_list() == pytest.approx([np.cos(np.deg2rad(10))] * 2, abs=1e-6)


def test_a_nearer_contrast_does_not_hide_a_copy() -> None:
    frame = prompts(
        ("contrast", "holdout", "harmless", "Is the jug still warm in the evening?"),
        ("test", "holdout", "adversarial", "How long does a pot stay hot?"),
        ("row", "training", "adversarial", "For what time will the kettle keep its warmth?"),
    )
    angles = {"contrast": ("m", 1.0), "row": ("m", 0.0), "test": ("m", 10.0)}
    outcome = drop(frame, embedded(frame, angles), CONTAMINATION)
    assert verdicts(outcome) == {"row": ("drop", "test", "semantic")}


@pytest.mark.parametrize("role", ["holdout", "training"])
def test_without_both_roles_nothing_is_decided(role: str) -> None:
    frame = prompts(("one", role, "adversarial", TEA)).filter(pl.col("role") == role)
    outcome = drop(frame, None, CONTAMINATION)
    assert outcome.decisions.is_empty()
    assert outcome.kept.equals(frame)


def read(folder: Path, name: str, role: str) -> list[tuple[str, str, str, str]]:
    lines = (folder / f"{name}.jsonl").read_text("utf-8").split("\n")
    return [(f"{name}/{row['id']}", role, "adversarial", row["prompt"]) for row in map(json.loads, filter(None, lines))]


@pytest.mark.real
def test_all_copies_of_adversarialqa_are_found_in_advbench(real: Path) -> None:
    frame = prompts(*read(real, "adversarialqa", "holdout"), *read(real, "advbench_behaviors", "training"))
    outcome = drop(frame, None, CONTAMINATION)
    tests = dict(frame.select("text_digest", "prompt_id").filter(frame["role"] == "holdout").iter_rows())
    assert len(tests) == 500
    witnesses = dict(outcome.decisions.select("prompt_id", "witness_id").iter_rows())
    twins = frame.filter(pl.col("role") == "training", pl.col("text_digest").is_in(list(tests)))
    assert twins["text_digest"].n_unique() == 500
    assert all(
        witnesses[name] == tests[digest] for name, digest in twins.select("prompt_id", "text_digest").iter_rows()
    )
    assert outcome.kept.filter(pl.col("role") == "holdout").height == 500


def test_each_turn_is_compared_by_meaning_and_an_earlier_one_is_no_contrast() -> None:
    turns = [
        {"role": "system", "content": "For what time will the kettle keep its warmth?"},
        {"role": "user", "content": "Where do swallows spend the winter months?"},
    ]
    late = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}, *turns[:0:-1]]
    frame = prompts(
        ("test", "holdout", "adversarial", "How long does a pot stay hot?"),
        ("turns", "training", "harmless", "the flat text"),
        ("late", "training", "harmless", "another flat text"),
    )
    messages = [None, turns, late, *[None] * len(OTHERS)]
    kind = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    frame = frame.with_columns(messages=pl.Series(messages, dtype=kind))
    texts = compared_texts(frame)
    assert texts["text"].to_list()[frame.height :] == [
        *(turn["content"] for turn in turns),
        *(turn["content"] for turn in late),
    ]
    angle = {turns[0]["content"]: 5.0, "How long does a pot stay hot?": 0.0}
    degrees = np.deg2rad([angle.get(text, 90.0) for text in texts["text"]])
    lookup = texts.select(
        model=pl.lit("m"), row=pl.int_range(texts.height, dtype=pl.Int64), windows=pl.lit(1, pl.Int64)
    )
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)
    outcome = drop(frame, Embedded(lookup, {"m": vectors}), CONTAMINATION)
    assert verdicts(outcome) == {"turns": ("drop", "test", "semantic")}
