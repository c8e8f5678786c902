"""The account at the end of a build, and the first rows of each source in a dry run."""

import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import recipe as recipes
from seas_data import sources
from seas_data.cli.dry_run_sources import write_sources
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.recipe import Recipe, Source
from seas_data.sources.account import Account, account_lines, describe_source, not_embeddable_reasons, semantic_recalls
from tests.taxonomies import RISK_CATEGORIES

ROWS = [
    {"prompt": "Which of the doors in the garden is green today?", "label": "Kitchen", "l": "eng"},
    {"prompt": "Who has the key to the old door in the garden?", "label": "Cellar", "l": None},
    {"prompt": "Where does the keeper of the vault sleep at night?", "label": ["Cellar"], "l": "en"},
]


def write(tmp_path: Path, extra: str = "") -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + extra, encoding="utf-8")
    return path


def make(tmp_path: Path, extra: str = "") -> Source:
    return Source(
        path=str(write(tmp_path, extra)),
        kind="adversarial",
        columns={"risk": "label", "language": "l"},
        risk_map={"Kitchen": RISK_CATEGORIES[0]},
    )


def test_account_counts_rows_labels_without_a_mapping_and_languages(tmp_path: Path) -> None:
    source = make(tmp_path, "not JSON\n")
    account = Account({"set": describe_source(source, sources.read_source("set", source))})
    assert account_lines(account) == [
        "Read 4 rows of 1 source: 3 prompts, 1 set aside.",
        "  set: set aside unreadable 1 of 4 rows",
        '  set: 2 rows have a risk label that maps to nothing: Cellar 1, ["Cellar"] 1',
        "Languages: en 3; detected for 1 rows that state none.",
    ]


@pytest.mark.parametrize(("unseen", "start"), [(1, "1 of 10 rows"), (2, "Warning: 2 of 10 rows")])
def test_account_warns_if_no_embedder_reads_a_tenth_of_the_rows(unseen: int, start: str) -> None:
    line = account_lines(Account(compared=10, not_embeddable={"language: sw is none of en, zh": unseen}))[-1]
    assert line.startswith(start)
    assert "because no embedder reads them: language: sw is none of en, zh" in line


def test_account_warns_if_few_of_the_similar_pairs_were_found() -> None:
    def row(value: float) -> dict[str, object]:
        return metric_row("semantic_recall", value, {"model": "M", "threshold": 0.95}, low=0.9, high=1.0, n=70)

    measured = semantic_recalls(metric_frame([row(0.995), row(0.95)]))
    assert account_lines(Account(semantic_recall=measured))[1:] == [
        "99.50% of the pairs with a cosine of at least 0.95 were found (interval 90.00% to 100.00%; 70 pairs of a "
        "sample).",
        "Warning: 95.00% of the pairs with a cosine of at least 0.95 were found (interval 90.00% to 100.00%; 70 pairs "
        "of a sample); to compare all pairs, raise curation.semantic.exact_rows.",
    ]


def test_reasons_count_each_prompt_once() -> None:
    rows = [("a", "not_embeddable", "x"), ("a", "not_embeddable", "y"), ("b", "near_duplicate", None)]
    decisions = pl.DataFrame(rows, schema=["prompt_id", "reason", "detail"], orient="row")
    assert not_embeddable_reasons(decisions) == {"x": 1}


def plan(tmp_path: Path, source: dict[str, object]) -> Recipe:
    return Recipe.model_validate({"name": "small", "sources": {"set": source}})


def test_dry_run_shows_masked_rows_and_what_became_of_each_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sources(plan(tmp_path, make(tmp_path).model_dump()))
    printed = capsys.readouterr().out
    assert "text (from prompt)" in printed
    assert "Which of the doors… (48 characters)" in printed
    assert "garden" not in printed
    assert f"Kitchen -> {RISK_CATEGORIES[0]}" in printed
    assert "Cellar -> nothing" in printed


@pytest.mark.parametrize("content", ["", "not JSON\n" * 3, '{"text": "a"}\n'])
def test_dry_run_says_what_would_stop_a_build(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    assert not write_sources(plan(tmp_path, {"path": str(path), "kind": "general"}))
    assert not write_sources(plan(tmp_path, {"path": str(tmp_path / "gone.jsonl"), "kind": "general"}))
    assert capsys.readouterr().out.count("A build would stop here: source set: ") == 2


def test_recipe_of_the_example_allows_its_broken_rows() -> None:
    loaded = recipes.load(recipes.find_recipe("pipelines/example.yaml"))
    assert loaded.sources["attacks"].max_unreadable_proportion == 0.1
