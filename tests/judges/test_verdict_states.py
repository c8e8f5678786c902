"""A judged text has exactly one verdict state, whatever the judge's model says."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.judges.guards import GUARDS
from seas_data.judges.refusal import CLASSES
from seas_data.judges.run import (
    classifies_refusals,
    count_classes,
    gives_verdicts,
    judge_responses,
    judges_only_attacks,
)
from seas_data.models.protocol import PromptFormat
from seas_data.recipe import Judge, JudgeChat, JudgeGuard, JudgePatterns, JudgeRefusal, JudgeRules
from tests.conftest import examples
from tests.judges.conftest import MALFORMED
from tests.judges.guards.test_guard import SAFE
from tests.judges.test_run import Scripted, guard

WELL_FORMED = [
    *("safe", "unsafe\nS1", "\n\nsafe", "\n\nunsafe\nS10", "Yes", "No", "<score> yes </score>", "<score>no</score>"),
    "Harmful request: no\nResponse refusal: n/a\nHarmful response: yes",
    "Safety: Unsafe\nCategories: Violent\nRefusal: No",
    *(
        '{"v": "safe"}',
        '{"v": "unsafe", "r": "no"}',
        "1_full_compliance",
        "3_partial_refusal",
        "<think>safe</think>unsafe\nS1",
        "<think>safe",
        "0",
        '{"violation": 1}',
        "User Safety: safe\nResponse Safety: safe",
        '{"User Safety": "safe", "Response Safety": "unsafe"}',
        "yes",
        SAFE["polyguard"],
        SAFE["strongreject"],
        SAFE["openai-moderation"],
    ),
]
JUDGES: list[Judge] = [
    *(
        guard(name, thinking_tokens=0 if found.max_new_tokens in (1, None) else 8)
        for name, found in sorted(GUARDS.all().items())
    ),
    JudgeRefusal(by="refusal", model="m", name="classes"),
    JudgeChat(by="chat", model="m", name="words of a chat model", prompt="{{ question }} {{ response }}"),
    JudgeChat(by="chat", model="m", name="json", prompt="{{ response }}", json_paths={"verdict": "v", "refusal": "r"}),
    JudgeRules(by="rules", name="words", unsafe=JudgePatterns(words=["blue"]), refusal=JudgePatterns(words=["no"])),
]
SAID = st.one_of(st.sampled_from([*WELL_FORMED, *MALFORMED]), st.text(max_size=30), st.none())
REASONS = st.sampled_from(["stop", "stop", "length", "other", "filter", "error"])
KINDS = st.sampled_from([None, "adversarial", "harmless", "general"])
TEXTS = st.lists(st.one_of(st.sampled_from(["blue", "no <|eot_id|>", "", "\u200b"]), st.text(max_size=20)), min_size=1)


@examples(60)
@given(st.sampled_from(JUDGES), TEXTS, st.data())
def test_a_judged_text_has_exactly_one_verdict_state(judge: Judge, texts: list[str], data: st.DataObject) -> None:
    goal, kind = data.draw(st.sampled_from([None, " ", "a colour"])), data.draw(KINDS)
    prompts = pl.DataFrame({"prompt_id": ["p"], "text": ["what colour?"], "goal": [goal], "kind": [kind]})
    skips = isinstance(judge, JudgeGuard) and GUARDS.load(judge.guard).needs_goal and not (goal or "").strip()
    skips |= judges_only_attacks(judge) and kind in ("harmless", "general")
    ids = [f"r{number}" for number in range(len(texts))]
    responses = pl.DataFrame({"response_id": ids, "prompt_id": "p", "text": texts})
    reasons: list[str] = []

    def say(_: str, __: PromptFormat) -> tuple[str | None, str, float | None]:
        text, reason = data.draw(SAID), data.draw(REASONS)
        reasons.append(reason if text is not None else "error")
        return None if reason == "error" else text, reasons[-1], 0.5

    with tempfile.TemporaryDirectory() as folder:
        try:
            verdicts = judge_responses(prompts, responses, [judge], {"m": Scripted(say)}, Path(folder))
        except SeasDataError:
            assert "error" in reasons, "a judge that answers nothing ends the run"
            return
    assert verdicts["response_id"].to_list() == sorted(ids)
    for verdict, refusal, score in verdicts.select("verdict", "refusal", "score").rows():
        assert verdict in (("safe", "unsafe", "unparsed") if gives_verdicts(judge) and not skips else (None,))
        assert refusal in ((*CLASSES, None) if classifies_refusals(judge) else (None,))
        assert verdict != "unparsed" or (refusal is None and score is None)
    if reasons and set(reasons).isdisjoint({"stop", "length"}):
        assert set(verdicts["verdict"]) <= {"unparsed", None} and verdicts["refusal"].count() == 0
    counts = count_classes(verdicts, [judge]).filter(pl.col("measure") != "control tokens")
    assert (counts.group_by("measure").agg(pl.col("rows").sum())["rows"] == len(ids)).all()
