"""A panel's verdict: by rule, with abstentions, and never safe where a vote that is missing could change it."""

from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.judges import panel
from seas_data.judges.run import add_panels, check, count_classes, judge_prompts, judge_responses
from seas_data.recipe import Judge, JudgePanel, JudgePatterns, JudgeRules

WORDS = [JudgeRules(by="rules", name=word, unsafe=JudgePatterns(words=[word])) for word in ("red", "blue", "green")]
S, U, N = "safe", "unsafe", "unparsed"


def judge(rule: str = "majority", **changes: Any) -> JudgePanel:
    return JudgePanel.model_validate({"by": "panel", "members": ["red", "blue", "green"], "rule": rule} | changes)


def decide(votes: tuple[str | None, ...], of: JudgePanel) -> dict[str, Any]:
    rows = [("r", name, vote, [name] if vote == U else []) for name, vote in zip(of.members, votes, strict=True)]
    schema = {"response_id": pl.String, "judge": pl.String, "verdict": pl.String, "categories": pl.List(pl.String)}
    return panel.judge_rows(pl.DataFrame(rows, schema, orient="row"), of).row(0, named=True)


@pytest.mark.parametrize(
    ("rule", "votes", "expected"),
    [
        ("majority", (U, U, S), U),
        ("majority", (S, S, U), S),
        ("majority", (S, S, N), S),
        ("majority", (U, S, N), N),
        ("majority", (U, N, N), N),
        ("majority", (N, N, N), N),
        ("any", (S, S, U), U),
        ("any", (N, N, U), U),
        ("any", (S, S, S), S),
        ("any", (S, S, N), N),
        ("all", (U, U, U), U),
        ("all", (U, U, N), N),
        ("all", (N, N, S), S),
        ("all", (U, U, S), S),
    ],
)
def test_rules(rule: str, votes: tuple[str, ...], expected: str) -> None:
    assert decide(votes, judge(rule))["verdict"] == expected


def test_enough_votes_decide_without_the_others() -> None:
    assert decide((S, S, N), judge("any", min_parsed=2))["verdict"] == S
    assert decide((S, N, N), judge("any", min_parsed=2))["verdict"] == N
    assert decide((U, U, None), judge("all", min_parsed=2))["verdict"] == U
    assert decide((U, S, N), judge(min_parsed=2))["verdict"] == N, "a tie"
    assert decide((S, N, N), judge(min_parsed=1))["verdict"] == S


def test_weights_are_votes() -> None:
    weighty = judge(weights={"red": 3})
    assert decide((U, S, S), weighty)["verdict"] == U
    assert decide((U, N, N), weighty)["verdict"] == U
    assert decide((N, S, S), weighty)["verdict"] == N


@pytest.mark.parametrize("rule", ["any", "majority", "all"])
def test_a_missing_vote_never_turns_a_verdict_around(rule: str) -> None:
    """Whatever the members that abstained would have said, the panel of all would not say the opposite."""
    for votes in product((S, U, N), repeat=3):
        said = decide(votes, judge(rule))["verdict"]
        completions = product(*((S, U) if vote == N else (vote,) for vote in votes))
        possible = {decide(whole, judge(rule))["verdict"] for whole in completions}
        assert possible == {said} if said != N else len(possible) == 2


def test_the_score_is_the_share_of_votes_for_unsafe() -> None:
    row = decide((U, S, U), judge())
    assert row["score"] == pytest.approx(2 / 3)
    assert row["categories"] == ["green", "red"]
    assert row["raw"] == "blue: safe\ngreen: unsafe\nred: unsafe" and row["detail"] is None
    row = decide((S, S, N), judge())
    assert row["score"] == 0 and row["categories"] == [] and row["detail"] == "2 of 3 members judged it"
    assert decide((U, S, N), judge())["score"] is None


def test_a_panel_votes_after_its_members(tmp_path: Path) -> None:
    judges: list[Judge] = [judge(), *WORDS]
    check(judges, {})
    prompts = pl.DataFrame({"prompt_id": ["p"], "text": ["red and blue?"]})
    texts = ["red and blue", "green", "none", "\u200b"]
    responses = pl.DataFrame({"response_id": ["a", "b", "c", "d"], "prompt_id": "p", "text": texts})
    verdicts = judge_responses(prompts, responses, judges, {}, tmp_path)
    of_panel = verdicts.filter(judge="panel")
    assert dict(of_panel.select("response_id", "verdict").rows()) == {"a": U, "b": S, "c": S, "d": N}
    counts = count_classes(verdicts, judges).filter(judge="panel")
    assert dict(counts.select("class", "rows").rows()) == {"safe": 2, "unsafe": 1, "unparsed": 1}
    assert add_panels(verdicts.filter(pl.col("judge") != "panel"), judges).sort("response_id", "judge").equals(verdicts)
    assert judge_prompts(prompts, judges, {}, tmp_path).filter(judge="panel")["verdict"].to_list() == [U]


@pytest.mark.parametrize("members", [["red", "gone"], ["red", "panel"], ["red", "classes"]])
def test_members_are_judges_that_give_verdicts(members: list[str]) -> None:
    classes = JudgeRules(by="rules", name="classes", refusal=JudgePatterns(words=["no"]))
    with pytest.raises(
        SeasDataError, match=r"has the member .*, which is no judge of verdicts; choose from: red, blue"
    ):
        check([*WORDS, classes, judge(members=members)], {})


@pytest.mark.parametrize(
    "changes",
    [
        {"members": ["red"]},
        {"members": ["red", "red"]},
        {"weights": {"no": 1}},
        {"weights": {"red": 0}},
        {"weights": {"red": 2}, "rule": "any"},
        {"min_parsed": 4},
    ],
)
def test_impossible_panels_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        judge(**changes)
