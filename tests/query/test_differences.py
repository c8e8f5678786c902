"""What differs between two versions: only prompts that a shard of one of them alone concerns are read."""

from pathlib import Path

import polars as pl

from seas_data.query import differences
from tests.query.frames import store, table


def prompts(*ids: str, kind: str = "adversarial") -> pl.DataFrame:
    return table("prompts", *({"prompt_id": each, "kind": kind} for each in ids))


def decision(prompt_id: str, version: str, decision: str, reason: str) -> pl.DataFrame:
    return table("decisions", {"prompt_id": prompt_id, "version": version, "decision": decision, "reason": reason})


def test_added_dropped_restored_and_relabelled_prompts_differ(tmp_path: Path) -> None:
    paths = store(
        tmp_path,
        prompts=[prompts("a", "b", "c", "d"), prompts("e", "f", "g", kind="harmless")],
        decisions=[
            decision("d", "v0", "drop", "too_long"),
            decision("b", "v1", "drop", "manual"),
            decision("d", "v1", "keep", "manual"),
            decision("g", "v1", "drop", "too_short"),
        ],
        relabels=[table("relabels", {"prompt_id": "c", "version": "v1", "kind": "general"})],
    )
    before = {"prompts": paths["prompts"][:1], "decisions": paths["decisions"][:1]}
    found = differences.compare_versions(before, paths)
    assert found["rows"] == {"before": 4, "after": 7}
    assert found["added"].rows() == [("harmless", None, 2), ("adversarial", None, 1)]
    assert found["dropped"]["prompt_id"].to_list() == ["b"]
    assert found["reasons"].rows() == [("select", "too_short", 1)]
    assert found["relabelled"].select("prompt_id", "kind", "kind_after").rows() == [("c", "adversarial", "general")]
    assert found["removed"].is_empty()
    back = differences.compare_versions(paths, before)
    assert back["removed"].rows() == [("harmless", None, 2)]
    assert back["dropped"]["prompt_id"].to_list() == ["d"]


def test_a_version_does_not_differ_from_itself(tmp_path: Path) -> None:
    paths = store(tmp_path, prompts=prompts("a", "b"), decisions=decision("b", "v0", "drop", "too_long"))
    found = differences.compare_versions(paths, paths)
    assert found.pop("rows") == {"before": 2, "after": 2}
    assert all(part.is_empty() for part in found.values())
