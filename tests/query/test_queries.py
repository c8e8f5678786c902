"""Each query of the library against a small version whose answers are worked out by hand.

alpha    a1 Role Play, train             a2 Role Play, by the classifier, train     a3 Health Harm, test
         a4 harmless, split harmless     a5 Role Play, dropped as near a1           a6 no type, dropped: template full
         a7 dropped in v9, kept again by a person in v10
beta     b1 harmless, contrast of a1     b2 general, Chinese, not embeddable        b3 too close to h1: dropped
         b4 harmless, close to h2: flagged      b5 too close to h1, and less so to h2 in a later version: dropped
hold     h1, h2 (role holdout)
nothing  one row, set aside
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seas_data.query import library, sql, views
from seas_data.resources import folder
from tests.query.frames import store, table

QUERIES = library.load(folder("sql"))
Shards = dict[str, list[Path]]


def _prompt(prompt_id: str, kind: str, type_: str | None, text: str, **more: Any) -> dict[str, Any]:
    source = {"a": "alpha", "b": "beta", "h": "hold"}[prompt_id[0]]
    licence = {"alpha": "MIT", "beta": None, "hold": "CC0-1.0"}[source]
    hard = type_ == "Role Play"
    return {
        "prompt_id": prompt_id,
        "kind": kind,
        "type": type_,
        "attack_style": type_ if hard else None,
        "difficulty": None if type_ is None else "Hard" if hard else "Easy",
        "label_source": None if type_ is None else "source",
        "text": text,
        "source": source,
        "licence": licence,
        "repository": f"lab/{source}",
        "role": "holdout" if source == "hold" else "training",
    } | more


PROMPTS = [
    _prompt("a1", "adversarial", "Role Play", "x" * 10),
    _prompt("a2", "adversarial", "Role Play", "x" * 20, label_source="classifier"),
    _prompt("a3", "adversarial", "Health Harm", "x" * 30),
    _prompt("a4", "harmless", None, "x" * 7),
    _prompt("a5", "adversarial", "Role Play", "x" * 11),
    _prompt("a6", "adversarial", None, "x" * 12),
    _prompt("a7", "adversarial", None, "x" * 40),
    _prompt("b1", "harmless", None, "x" * 9),
    _prompt("b2", "general", None, "x" * 5, language="zh"),
    _prompt("b3", "adversarial", None, "x" * 6),
    _prompt("b4", "harmless", None, "x" * 8),
    _prompt("b5", "adversarial", None, "x" * 6),
    _prompt("h1", "adversarial", None, "x" * 6),
    _prompt("h2", "adversarial", None, "x" * 6),
]


def _decision(prompt_id: str, decision: str, reason: str, witness: str | None = None, **more: Any) -> dict[str, Any]:
    return {"prompt_id": prompt_id, "decision": decision, "reason": reason, "witness_id": witness} | more


DECISIONS = [
    _decision("a5", "drop", "near_duplicate", "a1", score=0.9),
    _decision("a6", "drop", "template_cap"),
    _decision("a7", "drop", "near_duplicate", "a1", version="v9"),
    _decision("a7", "keep", "manual", version="v10", step="overrides"),
    _decision("a1", "flag", "contrast_pair", "b1", score=0.7, detail="near"),
    _decision("b1", "flag", "contrast_pair", "a1", score=0.7, detail="near"),
    _decision("a1", "flag", "contrast_pair", "b1", score=0.95, detail="semantic"),
    _decision("a5", "flag", "contrast_pair", "a4", score=0.65, detail="near"),
    _decision("b2", "flag", "not_embeddable", step="edges"),
    _decision("b2", "flag", "not_embeddable", step="edges", version="v1"),
    _decision("b3", "drop", "contaminated", "h1", score=0.9, step="contamination", detail="ngram"),
    _decision("b4", "flag", "contaminated", "h2", score=0.85, step="contamination", detail="semantic"),
    _decision("b5", "drop", "contaminated", "h1", score=1.0, step="contamination", detail="ngram"),
    _decision("b5", "flag", "contaminated", "h2", score=0.8, step="contamination", detail="semantic", version="v1"),
]
WRAPPED = {"a1": ("t1", "p1", "r1"), "a2": ("t1", "p2", None), "a6": ("t1", "p2", None), "a7": ("t2", "p3", None)}


def _metric(name: str, value: float, n: int, version: str = "v10", **facets: str) -> dict[str, Any]:
    low, high = max(value - 0.1, 0), min(value + 0.1, 1)
    return {
        "name": name,
        "version": version,
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "facets": json.dumps(facets),
    }


METRICS = [
    _metric("semantic_recall", 0.75, 40, model="M", threshold="0.95", rows_compared="4096"),
    _metric("label_accuracy", 0.1, 5, "v9", rows="all", validation="group"),
    _metric("label_accuracy", 0.8, 10, rows="all", validation="group"),
    _metric("label_accuracy", 0.5, 4, rows="given", validation="source", source="alpha"),
    _metric("label_coverage", 0.75, 8, rows="all", validation="group"),
    _metric("label_confusion", 1.0, 9, "v9", true="Word Play", predicted="none"),
    _metric("label_confusion", 0.75, 4, true="Role Play", predicted="Role Play"),
    _metric("label_confusion", 0.25, 4, true="Role Play", predicted="none"),
    _metric("label_confusion", 0.0, 4, true="Role Play", predicted="Health Harm"),
    _metric("label_confusion", 1.0, 2, true="Health Harm", predicted="Role Play"),
    _metric("attack_success", 0.5, 10),
]
# Two turns of a loop: the judge "rules" made the pairs, "other" only looked on.
LOOP_METRICS = [
    _metric("attack_success", value, 20, red_team=red, target=target, judge=judge, set="evaluation")
    for red, target, judge, value in (
        ("R0", "T0", "rules", 0.5),
        ("R10", "T0", "rules", 0.9),
        ("R2", "T0", "rules", 0.7),
        ("R0", "T1", "rules", 0.2),
        ("R0", "T0", "other", 0.4),
    )
] + [
    _metric("attack_success", 0.6, 30, target="T0", judge="rules", set="test"),
    _metric("attack_success", 0.7, 12, target="T0", judge="rules", set="test", type="Role Play"),
    _metric("attack_success", 0.3, 8, target="T0", judge="rules", set="test", type="Word Play"),
    _metric("attack_success", 0.6, 30, target="T0", judge="rules", set="test", difficulty="Hard"),
    _metric("over_refusal", 0.1, 10, target="T0", judge="rules", set="harmless"),
    _metric("over_refusal", 0.4, 10, target="T0", judge="rules", set="xstest"),
    _metric("right_answer", 0.9, 10, target="T0", set="harmless"),
    _metric("retention", 1.0, 10, target="T0", set="general"),
    _metric("validity", 0.75, 40, red_team="R0"),
    _metric("diversity", 0.25, 30, red_team="R0", against="train"),
    _metric("diversity", 0.4, 30, red_team="R0", against="itself"),
    _metric("invalid", 0.1, 40, red_team="R0", reason="gibberish"),
    _metric("valid_attack_success", 0.6, 15, red_team="R0", target="T0", judge="rules", set="evaluation"),
]


def _message(role: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "a word"}]


def _pair(pair_id: str, role: str) -> dict[str, Any]:
    said = {"chosen": _message("assistant"), "rejected": _message("assistant")}
    about = {"iteration": 1, "chosen_id": "c", "rejected_id": "r", "judge": "rules"}
    return {"pair_id": pair_id, "role": role, "prompt": _message("user")} | said | about


def _attack(prompt_id: str, reason: str | None) -> dict[str, Any]:
    about = {"seed_id": "s", "iteration": 1, "split": "train", "model": "R0", "number": 0, "text": "open"}
    return {"prompt_id": prompt_id, "reason": reason} | about


def _left_out(role: str, reason: str) -> dict[str, Any]:
    return {"role": role, "iteration": 1, "candidate_id": "c", "reason": reason}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    splits = {"a1": "train", "a2": "train", "a3": "test", "a4": "harmless", "a7": "train", "b1": "train"}
    splits |= {"b2": "train", "b4": "train", "h1": "holdout", "h2": "holdout", "a5": "train"}
    return store(
        tmp_path_factory.mktemp("version"),
        prompts=[table("prompts", *PROMPTS[:6]), table("prompts", *PROMPTS[6:])],
        decisions=table("decisions", *DECISIONS),
        set_aside=table("set_aside", {"source": "alpha"}, {"source": "alpha"}, {"source": "nothing"}),
        templates=table(
            "templates",
            *(
                {"prompt_id": prompt_id, "template_id": template, "payload": payload, "request_id": request}
                for prompt_id, (template, payload, request) in WRAPPED.items()
            ),
            {"prompt_id": "a3", "request_id": "r1"},
        ),
        wrappers=table(
            "wrappers", {"template_id": "t1", "segments": ["abcd", "efg"]}, {"template_id": "t2", "segments": ["ab"]}
        ),
        splits=table("splits", *({"prompt_id": each, "split": split} for each, split in splits.items())),
        clusters=table(
            "clusters",
            *({"prompt_id": each, "cluster": 1, "label": "doors, keys"} for each in ("a1", "a2", "b1", "a5")),
            *({"prompt_id": each, "cluster": 2, "label": "bread"} for each in ("a3", "a4", "b4", "a7")),
        ),
        embeddings=table(
            "embeddings", *({"prompt_id": each["prompt_id"]} for each in PROMPTS if each["prompt_id"] != "b2")
        ),
        metrics=[table("metrics", *METRICS), table("metrics", *LOOP_METRICS)],
        pairs=table("pairs", _pair("p1", "red"), _pair("p2", "red"), _pair("p3", "target")),
        unpaired=table("unpaired", _left_out("red", "margin"), _left_out("target", "no_safe")),
        attacks=table(
            "attacks",
            *(_attack("x1", None), _attack("x2", None), _attack("x3", "empty")),
            *(_attack(name, None) | {"split": "test"} for name in ("x4", "x5")),
            _attack("x6", "cut_off") | {"split": "test"},
            _attack("x7", None) | {"split": "test", "invalid": "gibberish"},
        ),
        verdicts=table("verdicts", {"response_id": "y1", "judge": "rules", "verdict": "safe"}),
        checkpoints=table(
            "checkpoints", {"model": "R0", "role": "red", "iteration": 0, "digest": "d", "method": "given", "rows": 0}
        ),
    )


def answer(shards: Shards, name: str, *given: str) -> list[tuple[Any, ...]]:
    query = QUERIES[name]
    return sql.run_trusted(shards, query.sql, query.values(list(given))).rows()


def test_rows_by_type(shards: Shards) -> None:
    # kept: a1 a2 a3 a4 a7 b1 b2 b4 h1 h2; a5 was in train before it was dropped, so it counts in no split
    assert answer(shards, "rows-by-type") == [
        # kind, type, difficulty, prompts, kept, classifier, train, test, harmless, holdout
        ("adversarial", None, None, 6, 3, 0, 1, 0, 0, 2),
        ("adversarial", "Role Play", "Hard", 3, 2, 1, 2, 0, 0, 0),
        ("adversarial", "Health Harm", "Easy", 1, 1, 0, 0, 1, 0, 0),
        ("general", None, None, 1, 1, 0, 1, 0, 0, 0),
        ("harmless", None, None, 3, 3, 0, 2, 0, 1, 0),
    ]


def test_rows_by_source(shards: Shards) -> None:
    assert answer(shards, "rows-by-source") == [
        ("alpha", "lab/alpha", "MIT", "training", 7, 5, 0.7143, 2),
        ("beta", "lab/beta", None, "training", 5, 3, 0.6, 0),
        ("hold", "lab/hold", "CC0-1.0", "holdout", 2, 2, 1.0, 0),
        ("nothing", None, None, None, 0, 0, None, 1),
    ]


def test_drop_reasons_by_source(shards: Shards) -> None:
    alpha = [
        ("alpha", "select", "near_duplicate", 1, 0.1429),
        ("alpha", "select", "template_cap", 1, 0.1429),
    ]
    beta = [("beta", "contamination", "contaminated", 2, 0.4)]
    assert answer(shards, "drop-reasons-by-source") == alpha + beta
    assert answer(shards, "drop-reasons-by-source", "source=beta") == beta
    assert answer(shards, "drop-reasons-by-source", "source=hold") == []


def test_contrast_pairs(shards: Shards) -> None:
    first = ("a1", "b1", "harmless", "alpha", "beta", "Role Play", 0.95, "semantic", True)
    second = ("a5", "a4", "harmless", "alpha", "alpha", "Role Play", 0.65, "near", False)
    assert answer(shards, "contrast-pairs") == [first, second]
    assert answer(shards, "contrast-pairs", "min_score=0.7") == [first]
    assert answer(shards, "contrast-pairs", "max_rows=1") == [first]


def test_template_sizes(shards: Shards) -> None:
    # t1 holds a1, a2 (kept) and a6 (dropped); p2 twice; a1 alone shares a request; a6 has no style
    assert answer(shards, "template-sizes") == [
        ("t1", 3, 2, 2, 1, 7, "Role Play", ["alpha"]),
        ("t2", 1, 1, 1, 0, 2, None, ["alpha"]),
    ]
    assert len(answer(shards, "template-sizes", "max_rows=1")) == 1


def test_clusters(shards: Shards) -> None:
    # 1: a1 a2 b1 (a5 dropped); 2: a3 a4 b4 a7
    assert answer(shards, "clusters") == [
        # cluster, label, kept, adversarial, harmless, general, sources, types
        (2, "bread", 4, 2, 2, 0, 2, 1),
        (1, "doors, keys", 3, 2, 1, 0, 2, 1),
    ]


def test_label_agreement(shards: Shards) -> None:
    assert answer(shards, "label-agreement") == [
        ("accuracy", "group", None, "all", 0.8, 0.7, 0.9, 10),
        ("accuracy", "source", "alpha", "given", 0.5, 0.4, 0.6, 4),
        ("coverage", "group", None, "all", 0.75, 0.65, 0.85, 8),
    ]


def test_label_confusion(shards: Shards) -> None:
    assert answer(shards, "label-confusion") == [
        ("Health Harm", "Role Play", 2, 2, 1.0, 0.9, 1.0),
        ("Role Play", "Role Play", 3, 4, 0.75, 0.65, 0.85),
        ("Role Play", "none", 1, 4, 0.25, 0.15, 0.35),
    ]


def test_lengths(shards: Shards) -> None:
    assert answer(shards, "lengths") == [
        # source, kind, kept, shortest, p10, median, p90, p99, longest
        ("alpha", "adversarial", 4, 10, 10, 20, 40, 40, 40),
        ("alpha", "harmless", 1, 7, 7, 7, 7, 7, 7),
        ("beta", "general", 1, 5, 5, 5, 5, 5, 5),
        ("beta", "harmless", 2, 8, 8, 8, 9, 9, 9),
        ("hold", "adversarial", 2, 6, 6, 6, 6, 6, 6),
    ]


def test_languages(shards: Shards) -> None:
    assert answer(shards, "languages") == [
        # language, prompts, kept, released, sources, embedded, not embeddable
        ("en", 13, 9, 7, 3, 13, 0),
        ("zh", 1, 1, 1, 1, 0, 1),
    ]


def test_semantic_recall(shards: Shards) -> None:
    # version, model, threshold, recall, low, high, pairs, prompts compared
    assert answer(shards, "semantic-recall") == [("v10", "M", 0.95, 0.75, 0.65, 0.85, 40, 4096)]


def test_contamination(shards: Shards) -> None:
    assert answer(shards, "contamination") == [
        # source, holdout, decision, measure, prompts, holdout prompts, lowest, median, highest, weakest, of
        ("beta", "hold", "drop", "ngram", 2, 1, 0.9, 0.9, 1.0, "b3", "h1"),
        ("beta", "hold", "flag", "semantic", 2, 1, 0.8, 0.8, 0.85, "b5", "h2"),
    ]


def test_attack_success_matrix(shards: Shards) -> None:
    assert answer(shards, "attack-success-matrix") == [
        # red team, target, value, low, high, n, of valid attacks, validity, similarity
        ("R0", "T0", 0.5, 0.4, 0.6, 20, 0.6, 0.75, 0.4),
        ("R0", "T1", 0.2, 0.1, pytest.approx(0.3), 20, None, 0.75, 0.4),
        ("R2", "T0", 0.7, pytest.approx(0.6), pytest.approx(0.8), 20, None, None, None),
        ("R10", "T0", 0.9, 0.8, 1, 20, None, None, None),
    ]
    assert answer(shards, "attack-success-matrix", "judge=other") == [
        ("R0", "T0", 0.4, pytest.approx(0.3), 0.5, 20, None, 0.75, 0.4),
    ]


def test_safety_frontier(shards: Shards) -> None:
    assert answer(shards, "safety-frontier") == [
        # target, attack success, over-refusal, utility, harmless right, retention; three intervals; tasks, warning
        ("T0", 0.6, 0.1, 1.0, 0.9, 1.0, 0.5, 0.7, 0.0, 0.2, 0.9, 1.0, "general questions", None)
    ]


def _measured(name: str, value: float, n: int, **facets: str | None) -> dict[str, Any]:
    return _metric(name, value, n, **{key: each for key, each in facets.items() if each is not None})


def test_what_a_judge_of_its_own_says_of_refusals_is_among_the_figures(tmp_path: Path) -> None:
    """ "refusals" classes refusals alone and "rules" judges harm alone; no pairs say whose word counts."""
    judged = [("rules", "unsafe", None), ("a-refusals", None, "full_refusal")]
    shards = store(
        tmp_path,
        prompts=table("prompts", {"prompt_id": "p"}),
        verdicts=table(
            "verdicts",
            *({"response_id": "y", "judge": by, "verdict": said, "refusal": refused} for by, said, refused in judged),
        ),
        checkpoints=table(
            "checkpoints",
            *(
                {
                    "model": f"{role[0].upper()}0",
                    "role": role,
                    "iteration": 0,
                    "digest": "d",
                    "method": "given",
                    "rows": 0,
                }
                for role in ("red", "target")
            ),
        ),
        metrics=table(
            "metrics",
            _measured("attack_success", 0.5, 9, target="T0", red_team="R0", judge="rules", set="evaluation"),
            _measured("over_refusal", 0.3, 9, target="T0", judge="a-refusals", set="harmless"),
            # Two measures: of 3 questions somebody gave the words of a right answer, of 50 a judge says.
            _measured("retention", 0.9, 3, target="T0", set="general"),
            _measured("retention", 0.7, 50, target="T0", judge="a-refusals", set="general"),
        ),
    )
    figures = {row[0]: row[2] for row in answer(shards, "headline") if row[5]}
    assert figures == {
        "attack success, newest models": 0.5,
        "over-refusal, harmless prompts": 0.3,
        "general questions answered": 0.9,
    }
    assert answer(shards, "safety-frontier")[0][:6] == ("T0", None, 0.3, 0.9, None, 0.9)
    assert answer(shards, "attack-success-matrix") == [("R0", "T0", 0.5, 0.4, 0.6, 9, None, None, None)]


def test_what_a_judge_of_refusals_alone_could_not_class_is_counted(tmp_path: Path) -> None:
    said = [("harm", "safe", None), ("harm", "unparsed", None), ("refusals", None, "full_refusal")]
    said += [("refusals", None, None)] * 3
    rows = [
        {"response_id": str(number), "judge": by, "verdict": verdict, "refusal": refusal}
        for number, (by, verdict, refusal) in enumerate(said)
    ]
    found = answer(store(tmp_path, verdicts=table("verdicts", *rows)), "judges")
    assert [row[:6] for row in found] == [("harm", 2, 1, 0, 1, 0.5), ("refusals", 4, 0, 0, 3, 0.75)]


def test_the_headline_counts_what_there_is(shards: Shards) -> None:
    assert [row[:3] for row in answer(shards, "headline")] == [
        ("prompts", None, 14),
        ("kept prompts", None, 10),
        ("kept attacks", None, 6),
        ("kept harmless look-alikes", None, 3),
        ("rows set aside", None, 3),
        ("preference pairs", None, 3),
        ("label accuracy, cross-validated", None, 0.8),  # of v10; no target is among the checkpoints
    ]


def test_flow(shards: Shards) -> None:
    assert answer(shards, "flow") == [
        # source, outcome, fate, rows
        ("alpha", "dropped", "near_duplicate", 1),
        ("alpha", "dropped", "template_cap", 1),
        ("alpha", "kept", "harmless", 1),
        ("alpha", "kept", "test", 1),
        ("alpha", "kept", "train", 3),
        ("alpha", "set aside", "empty", 2),
        ("beta", "dropped", "contaminated", 2),
        ("beta", "kept", "train", 3),
        ("hold", "kept", "holdout", 2),
        ("nothing", "set aside", "empty", 1),
    ]


def test_target_sets(shards: Shards) -> None:
    found = [row[:5] for row in answer(shards, "target-sets", "target=T0")]
    assert found == [
        ("T0", "test", "rules", "attack_success", 0.6),
        ("T0", "harmless", "rules", "over_refusal", 0.1),
        ("T0", "xstest", "rules", "over_refusal", 0.4),
        ("T0", "general", None, "retention", 1.0),
        ("T0", "harmless", None, "right_answer", 0.9),
    ]


def test_red_teams(shards: Shards) -> None:
    assert [row[:4] for row in answer(shards, "red-teams")] == [
        ("R0", "diversity", "itself", 0.4),
        ("R0", "diversity", "train", 0.25),
        ("R0", "invalid", "gibberish", 0.1),
        ("R0", "validity", None, 0.75),
    ]


def test_attack_validity(shards: Shards) -> None:
    assert answer(shards, "attack-validity") == [
        # red team, outcome, attacks, proportion
        ("R0", "valid", 2, 0.5),
        ("R0", "cut_off", 1, 0.25),
        ("R0", "gibberish", 1, 0.25),
    ]


def test_pairs_by_role(shards: Shards) -> None:
    assert answer(shards, "pairs-by-role") == [
        (1, "red", "paired", 2),
        (1, "red", "margin", 1),
        (1, "target", "paired", 1),
        (1, "target", "no_safe", 1),
    ]


def test_attacks_set_aside(shards: Shards) -> None:
    assert answer(shards, "attacks-set-aside") == [
        ("R0", "test", "sent to the target", 3),
        ("R0", "test", "cut_off", 1),
        ("R0", "train", "sent to the target", 2),
        ("R0", "train", "empty", 1),
    ]


@pytest.mark.slow
def test_a_query_answers_the_same_in_the_closed_process(shards: Shards) -> None:
    query = QUERIES["template-sizes"]
    values = query.values(["max_rows=1"])
    assert sql.run_untrusted(shards, query.sql, values).equals(sql.run_trusted(shards, query.sql, values))


@pytest.mark.skipif(shutil.which("duckdb") is None, reason="needs the duckdb shell")
@pytest.mark.parametrize("name", QUERIES)
def test_a_query_runs_in_the_duckdb_shell(name: str, shards: Shards, tmp_path: Path) -> None:
    query = QUERIES[name]
    places = {table: [str(path) for path in paths] for table, paths in shards.items()}
    (tmp_path / "views.sql").write_text(views.duckdb_script(places), encoding="utf-8")
    values = ", ".join(f"{each.name} := {each.default!r}" for each in query.parameters.values())
    execute = f"execute asked({values})" if values else "execute asked"
    command = ["duckdb", "-init", "views.sql", "-json", "-c", f"prepare asked as {query.sql}", "-c", execute]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads(ended.stdout)) == sql.run_trusted(shards, query.sql, query.values([])).height
