"""A version's frames: the newest relabels and decisions apply, in Polars exactly as in the SQL views."""

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.store import Manifest, open_workspace
from seas_data.store import version as store
from tests.conftest import examples

IDS = ("a", "b", "c")
VERSIONS = st.sampled_from(["v0", "v1", "v2", "v9", "v10", "v11"])
WORDS = st.sampled_from(["", "x", "y"])
DECISIONS = st.fixed_dictionaries(
    {
        "prompt_id": st.sampled_from(IDS),
        "version": VERSIONS,
        "step": st.sampled_from(["overrides", "select"]),
        "decision": st.sampled_from(["keep", "drop", "flag"]),
        "reason": st.sampled_from(["manual", "split_bridge", "near_duplicate", "contaminated"]),
        "witness_id": st.none() | st.sampled_from(IDS),
        "score": st.none(),
        "threshold": st.none(),
        "detail": st.none() | WORDS,
    }
)
RELABELS = st.fixed_dictionaries(
    {
        "prompt_id": st.sampled_from(IDS),
        "version": VERSIONS,
        "kind": st.sampled_from(["adversarial", "harmless"]),
        "risk_category": st.none(),
        "attack_style": st.none() | st.sampled_from(["Role Play", "Goal Hijacking"]),
        "type": st.none(),
        "difficulty": st.none() | st.sampled_from(["Easy", "Hard"]),
        "label_source": st.sampled_from(["manual:ann", "manual:ben"]),
        "because": WORDS,
    }
)


def prompts() -> pl.DataFrame:
    labels = {"kind": "adversarial", "type": "Role Play", "attack_style": "Role Play", "difficulty": "Hard"}
    row: dict[str, Any] = dict.fromkeys(tables.TABLES["prompts"].column_names()) | labels
    row |= {"label_source": "classifier", "label_probability": 0.75, "source": "s", "role": "training", "priority": 1}
    rows = [row | {"prompt_id": each, "text": each, "text_digest": each, "source_id": each} for each in IDS]
    return pl.DataFrame([each | {"iteration": 0} for each in rows], infer_schema_length=None)


def version_of(folder: Path, **frames: pl.DataFrame) -> Version:
    workspace = open_workspace(folder / "ws", create=True)
    shards = {name: [workspace.write_shard(name, frame)] for name, frame in frames.items() if frame.height}
    manifest = Manifest(
        version="v0", iteration=0, parent=None, parent_digest=None, recipe={}, recipe_digest="", tables=shards
    )
    return Version(workspace, workspace.commit(manifest, pl.DataFrame(schema=store.RUNS)))


@examples(8)
@given(
    st.lists(DECISIONS, max_size=12),
    st.lists(RELABELS, max_size=6, unique_by=lambda row: (row["prompt_id"], row["version"], row["because"])),
)
def test_frames_and_sql_views_agree_on_random_decisions_and_relabels(
    decisions: list[dict[str, Any]], relabels: list[dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        version = version_of(
            Path(folder),
            prompts=prompts(),
            decisions=pl.DataFrame(decisions, infer_schema_length=None),
            relabels=pl.DataFrame(relabels, infer_schema_length=None),
        )
        for name in ("prompts", "kept"):
            assert version.table(name).equals(version.select(f"select * from {name} order by all")), name
        columns = ["prompt_id", "version", "decision", "reason", "step", "witness_id"]  # all that the order depends on
        drops = store.newest_drops(version.table("decisions")).select(columns).sort("prompt_id")
        assert drops.equals(version.select(f"select {', '.join(columns)} from dropped order by prompt_id"))


def drop_or_keep(*rows: tuple[str, str, str]) -> list[str]:
    """Return the dropped ids of one prompt with decisions (version, decision, reason)."""
    frame = pl.DataFrame(rows, schema=["version", "decision", "reason"], orient="row").with_columns(
        prompt_id=pl.lit("a"), step=pl.lit("select"), witness_id=pl.lit(None, pl.String)
    )
    return store.newest_drops(frame)["prompt_id"].to_list()


def test_the_newest_version_decides_and_v10_is_newer_than_v9() -> None:
    assert drop_or_keep(("v9", "drop", "manual"), ("v10", "keep", "manual")) == []
    assert drop_or_keep(("v9", "keep", "manual"), ("v10", "drop", "contaminated")) == ["a"]


def test_a_manual_decision_overrules_a_step_of_the_same_version_and_a_split_bridge_overrules_both() -> None:
    assert drop_or_keep(("v1", "drop", "near_duplicate"), ("v1", "keep", "manual")) == []
    assert drop_or_keep(("v1", "drop", "split_bridge"), ("v1", "keep", "manual")) == ["a"]
    assert drop_or_keep(("v1", "keep", "manual"), ("v1", "flag", "unreviewed")) == []


def test_columns_are_selected_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    version = version_of(tmp_path, prompts=prompts())
    assert version.table("kept", ["text", "label_probability"]).columns == ["text", "label_probability"]
    assert version.table("prompts", ["text"])["text"].to_list() == list(IDS)
    with pytest.raises(SeasDataError, match="table kept has no column colour; choose from: prompt_id"):
        version.table("kept", ["colour"])
