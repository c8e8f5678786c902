"""Conflicting labels of one text: who is flagged, and whose label stands."""

import polars as pl

from seas_data.curate.label_conflicts import resolve_label_conflicts

SCHEMA = {
    "prompt_id": pl.String,
    "text_digest": pl.String,
    "kind": pl.String,
    "type": pl.String,
    "label_source": pl.String,
    "source": pl.String,
    "priority": pl.Int32,
}


def prompts(*given: tuple[str, str, str, str | None, str | None, str, int]) -> pl.DataFrame:
    return pl.DataFrame(given, schema=SCHEMA, orient="row").with_columns(
        risk_category=pl.lit(None, dtype=pl.String),
        attack_style="type",
        difficulty=pl.when(pl.col("type").is_not_null()).then(pl.lit("Hard")),
        label_probability=pl.when(pl.col("label_source") == "classifier").then(0.7),
    )


def kept(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
    return rows.filter(pl.col("prompt_id").is_in(names))


def test_labels_are_ranked_by_label_source_then_priority_then_id() -> None:
    rows = prompts(
        ("a", "t", "adversarial", "Role Play", "classifier", "one", 0),
        ("b", "t", "adversarial", "Word Play", "source", "two", 9),
        ("c", "t", "adversarial", "Jailbreaking", "judge:some", "one", 0),
        ("d", "u", "adversarial", "Role Play", "source", "one", 2),
        ("e", "u", "adversarial", "Word Play", "source", "two", 1),
        ("f", "v", "adversarial", "Role Play", "source", "one", 0),
        ("g", "v", "adversarial", "Word Play", "manual:me", "one", 7),
    )
    resolved = resolve_label_conflicts(rows, kept(rows, "a", "d", "f"))
    assert resolved.kept["type"].to_list() == ["Word Play", "Word Play", "Word Play"]
    assert resolved.kept["label_source"].to_list() == ["source", "source", "manual:me"]
    assert resolved.kept["label_probability"].to_list() == [None, None, None]
    assert resolved.kept.columns == rows.columns
    assert resolved.decisions["prompt_id"].to_list() == list("abcdefg")
    assert set(resolved.decisions["decision"]) == {"flag"}
    assert set(resolved.decisions["reason"]) == {"label_conflict"}
    witnesses = dict(resolved.decisions.select("prompt_id", "witness_id").rows())
    assert witnesses == {"a": "b", "b": None, "c": "b", "d": "e", "e": None, "f": "g", "g": None}
    assert resolved.decisions["detail"][3] == "one: adversarial Role Play; two: adversarial Word Play"


def test_different_kinds_are_flagged_and_not_changed() -> None:
    rows = prompts(
        ("a", "t", "adversarial", "Role Play", "source", "one", 0),
        ("b", "t", "harmless", None, None, "two", 0),
        ("c", "u", "harmless", None, None, "two", 0),
        ("d", "u", "general", None, None, "one", 0),
    )
    resolved = resolve_label_conflicts(rows, kept(rows, "a", "b", "c"))
    assert resolved.kept.equals(kept(rows, "a", "b", "c"))
    assert resolved.decisions["prompt_id"].to_list() == list("abcd")


def test_a_label_fills_missing_types_on_its_own_side_only() -> None:
    rows = prompts(
        ("a", "t", "adversarial", None, None, "one", 0),
        ("b", "t", "adversarial", "Role Play", "source", "two", 0),
        ("c", "t", "harmless", None, None, "two", 0),
        ("d", "u", "adversarial", None, None, "one", 0),
        ("e", "u", "adversarial", "Word Play", "source", "two", 0),
    )
    resolved = resolve_label_conflicts(rows, kept(rows, "a", "c", "d"))
    assert resolved.kept["type"].to_list() == ["Role Play", None, "Word Play"]
    # The text of d and e has one label only: nothing is in conflict.
    assert resolved.decisions["prompt_id"].to_list() == ["a", "b", "c"]


def test_equal_labels_are_not_a_conflict() -> None:
    rows = prompts(
        ("a", "t", "adversarial", "Role Play", "source", "one", 0),
        ("b", "t", "adversarial", "Role Play", "judge:some", "two", 0),
        ("c", "u", "general", None, None, "two", 0),
    )
    resolved = resolve_label_conflicts(rows, kept(rows, "b", "c"))
    assert resolved.kept.equals(kept(rows, "b", "c"))
    assert resolved.decisions.is_empty()


def test_rows_of_earlier_versions_keep_their_labels() -> None:
    rows = prompts(
        ("a", "t", "adversarial", "Role Play", "classifier", "one", 0),
        ("b", "t", "adversarial", "Word Play", "source", "two", 0),
        ("c", "u", "adversarial", "Role Play", "source", "one", 0),
        ("d", "u", "adversarial", "Word Play", "source", "two", 0),
    )
    resolved = resolve_label_conflicts(rows, kept(rows, "a", "c"), earlier=pl.Series(["a", "c", "d"]))
    assert resolved.kept.equals(kept(rows, "a", "c"))
    assert resolved.decisions["prompt_id"].to_list() == ["a", "b"]


def test_the_order_of_the_input_changes_nothing() -> None:
    rows = prompts(
        *(
            (
                f"p{n:02}",
                f"t{n % 7}",
                "adversarial",
                ["Role Play", "Word Play", None][n % 3],
                "source",
                f"s{n % 4}",
                n % 5,
            )
            for n in range(40)
        )
    )
    first = resolve_label_conflicts(rows, rows)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3)
    again = resolve_label_conflicts(shuffled, shuffled)
    assert again.kept.sort("prompt_id").equals(first.kept)
    assert again.decisions.equals(first.decisions)
    # One label a text is left.
    assert first.kept.group_by("text_digest").agg(pl.col("type").n_unique())["type"].max() == 1


def test_under_another_system_turn_another_label_is_no_conflict() -> None:
    rows = prompts(
        ("a", "t", "adversarial", "Role Play", "source", "one", 0),
        ("b", "t", "adversarial", "Word Play", "source", "two", 1),
        ("c", "t", "adversarial", "Jailbreaking", "source", "two", 1),
    ).with_columns(system_digest=pl.Series([None, "s", "s"], dtype=pl.String))
    resolved = resolve_label_conflicts(rows, rows)
    assert resolved.kept.filter(pl.col("prompt_id") != "c").equals(rows.head(2))
    assert resolved.decisions["prompt_id"].to_list() == ["b", "c"]
