"""Pairs of the answers that sources bring, without a loop, and training on them."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data import pairs, tables
from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe import Pairs
from seas_data.run import build
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogRecord, LogVerdict
from seas_data.train.version_rows import select_rows
from tests.made_logs import attempts, logged, recipe  # noqa: F401

Logs = dict[str, list[LogRecord]]
JUDGE = "garak:policy.Cooking"


def run(folder: Path, *names: str, root: str = "ws", settings: Any = None, **about: Any) -> Version:
    sources = {}
    for name in names:
        (folder / name).touch()
        sources[name] = {"log": "garak", "path": str(folder / name), **about}
    return build(recipe(sources, pairs=settings or {}), folder / root).version


def texts(version: Version) -> list[tuple[str, str, str]]:
    """Return prompt, chosen and rejected of the target pairs."""
    rows = version.table("pairs").filter(role="target")
    return [
        (row["prompt"][0]["content"], row["chosen"][0]["content"], row["rejected"][0]["content"])
        for row in rows.to_dicts()
    ]


def test_a_safe_answer_is_preferred_to_an_unsafe_one_of_train_only(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    logged["run"] = attempts(30)
    version = run(tmp_path, "run")
    train = version.select("select prompt_id, text from kept join splits using (prompt_id) where split = 'train'")
    others = version.select("select count(*) from splits where split <> 'train'").item()
    assert others > 0 and train.height + others == 30
    assert sorted(text for text, _, _ in texts(version)) == sorted(train["text"])
    for _, chosen, rejected in texts(version):
        assert chosen.startswith("I do not give") and rejected.startswith("Take what")
    paired = version.table("pairs")
    assert set(paired["judge"]) == {JUDGE} and set(paired["iteration"]) == {0}
    # Each answer to a prompt of train is on one side of a pair, or in the ledger with the reason.
    answers = version.table("responses").join(train, on="prompt_id", how="semi")
    unpaired = version.table("unpaired")
    assert set(unpaired["reason"]) == {"unparsed"}
    accounted = [*paired["chosen_id"], *paired["rejected_id"], *unpaired["candidate_id"]]
    assert sorted(accounted) == sorted(answers["response_id"])


def test_a_pair_leads_back_to_the_line_of_the_log(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    logged["run"] = attempts(12)
    version = run(tmp_path, "run")
    places = version.select(
        "select chosen.location, rejected.location from pairs join responses chosen on chosen_id = chosen.response_id "
        "join responses rejected on rejected_id = rejected.response_id"
    )
    assert places.height and all(row[0] == row[1] and row[0].startswith("run.report.jsonl:") for row in places.rows())


@pytest.mark.slow
def test_without_the_key_there_are_no_pairs(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    logged["run"] = attempts(12)
    (tmp_path / "run").touch()
    about = {"run": {"log": "garak", "path": str(tmp_path / "run")}}
    version = build(recipe(about), tmp_path / "ws").version
    assert version.table("pairs").is_empty() and version.table("unpaired").is_empty()
    with pytest.raises(SeasDataError, match="v0 has no pairs and no demonstrations for target; build it with"):
        select_rows(version, "target")


@pytest.mark.slow
def test_a_grown_log_adds_pairs_and_changes_none(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    logged["run"] = attempts(15)
    first = run(tmp_path, "run")
    logged["run"] = attempts(25)
    second = run(tmp_path, "run")
    before, after = (set(each.table("pairs")["pair_id"]) for each in (first, second))
    assert before < after and second.table("pairs")["pair_id"].is_unique().all()
    assert second.table("pairs")["prompt_id"].is_unique().all()
    assert not set(second.table("unpaired")["candidate_id"]) & set(second.table("pairs")["chosen_id"])


@pytest.mark.slow
def test_mart_gives_demonstrations(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    full = LogVerdict("j", "safe", refusal="full_compliance")
    logged["run"] = [
        LogAttempt(
            f"run:{at}",
            f"u{at}",
            (Message("user", f"What is the name of house number {at * 7919}?"),),
            answers=(LogAnswer(f"It is house {at}.", "m", 0, "stop", (full,)),),
        )
        for at in range(10)
    ]
    version = run(tmp_path, "run", settings={"mode": "mart"})
    rows = version.table("demonstrations")
    assert rows.height >= 5 and version.table("pairs").is_empty()
    assert select_rows(version, "target")[0] == "demonstrations"


def answer_frames(
    rows: list[tuple[str, str, str, str, str, str | None, str | None]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return responses and verdicts of (prompt, response, model, text, judge, verdict, refusal)."""
    names = ("prompt_id", "response_id", "model", "text", "judge", "verdict", "refusal")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
    empty = {
        name: pl.lit(None) for name in ("tokens", "settings_id", "thinking", "detail", "location", "finish_reason")
    }
    responses = frame.unique("response_id", keep="first", maintain_order=True).with_columns(
        source=pl.lit("run"), source_id="response_id", sample=pl.int_range(pl.len()).over("prompt_id", "model"), **empty
    )
    verdicts = frame.with_columns(score=pl.lit(None), categories=pl.lit(None), raw=pl.lit(None))
    return tables.cast("responses", responses), tables.cast("verdicts", verdicts)


PROMPTS = pl.DataFrame(
    {
        "prompt_id": ["a", "b"],
        "text": ["Soup?", "A killer cake?"],
        "kind": ["adversarial", "harmless"],
        "type": [None, None],
    },
    schema_overrides={"type": pl.String},
)
NOTHING_HELD_OUT = pl.DataFrame(schema={"prompt_id": pl.String, "text_digest": pl.String})


def test_answers_of_each_target_are_paired_by_themselves_and_by_the_named_judges() -> None:
    responses, verdicts = answer_frames(
        [
            ("a", "1", "m", "No.", "j", "safe", None),
            ("a", "1", "m", "No.", "k", "unsafe", None),
            ("a", "2", "m", "Stir.", "j", "unsafe", None),
            ("a", "3", "n", "Never.", "j", "safe", None),
            ("b", "4", "n", "Bake it.", "j", "safe", None),
            ("b", "4", "n", "Bake it.", "r", None, "full_compliance"),
            ("b", "5", "n", "I refuse.", "r", None, "full_refusal"),
            ("b", "5", "n", "I refuse.", "j", "safe", None),
        ]
    )
    both = pairs.pair_answers(
        PROMPTS, responses, verdicts, Pairs(judge="j", refusal_judge="r"), held_out=NOTHING_HELD_OUT
    )
    rows = both["pairs"].sort("role").select("role", "chosen_id", "rejected_id", "judge").rows()
    assert rows == [("harmless", "4", "5", "r"), ("target", "1", "2", "j")]
    assert both["unpaired"].select("candidate_id", "reason").rows() == [("3", "no_unsafe")]


def test_several_judges_need_a_choice() -> None:
    responses, verdicts = answer_frames(
        [("a", "1", "m", "No.", "j", "safe", None), ("a", "1", "m", "No.", "k", "safe", None)]
    )
    with pytest.raises(SeasDataError, match=r"several judges judged these responses; set pairs\.judge to j or k"):
        pairs.pair_answers(PROMPTS, responses, verdicts, Pairs(), held_out=NOTHING_HELD_OUT)
    with pytest.raises(SeasDataError, match=r"pairs\.judge is q, .* set it to j or k"):
        pairs.pair_answers(PROMPTS, responses, verdicts, Pairs(judge="q"), held_out=NOTHING_HELD_OUT)


def test_a_held_out_text_under_another_id_is_in_no_pair() -> None:
    responses, verdicts = answer_frames(
        [("a", "1", "m", "No.", "j", "safe", None), ("a", "2", "m", "Stir.", "j", "unsafe", None)]
    )
    elsewhere = PROMPTS.with_columns(role=pl.lit("holdout"), text_digest=pl.lit("x")).with_columns(
        prompt_id=pl.lit("z")
    )
    held_out = pairs.select_held_out(elsewhere.head(1), tables.empty("splits"))
    both = pairs.pair_answers(PROMPTS, responses, verdicts, Pairs(), held_out=held_out)
    assert both["pairs"].is_empty() and set(both["unpaired"]["reason"]) == {"held_out"}


def test_answers_of_two_logs_are_paired_by_the_judge_of_each() -> None:
    rows: list[tuple[str | None, ...]] = [
        ("a", "1", "m", "No.", "j", "safe", None),
        ("a", "2", "m", "Stir.", "j", "unsafe", None),
        ("c", "3", "m", "Never.", "k", "safe", None),
        ("c", "4", "m", "Bake.", "k", "unsafe", None),
        ("c", "4", "m", "Bake.", "j", "unparsed", None),
        ("c", "5", "m", "Boil.", "k", "unsafe", None),
        ("c", "6", "m", "Fry.", "q", "unsafe", None),
    ]
    responses, verdicts = answer_frames(rows)
    prompts = PROMPTS.with_columns(prompt_id=pl.Series(["a", "c"]), kind=pl.lit("adversarial"))
    both = pairs.pair_answers(prompts, responses, verdicts, Pairs(judges=["k", "j"]), held_out=NOTHING_HELD_OUT)
    found = both["pairs"].sort("judge").select("judge", "chosen_id", "rejected_id").rows()
    assert found == [("j", "1", "2"), ("k", "3", "4")]
    assert both["unpaired"].sort("candidate_id").select("candidate_id", "reason").rows() == [
        ("5", "outranked"),
        ("6", "unjudged"),
    ]
    with pytest.raises(ValueError, match="give either judge or judges"):
        Pairs(judge="j", judges=["k"])
