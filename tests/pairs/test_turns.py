"""Pairs of conversations: all turns are the prompt, and a held-out request in any turn keeps the prompt out."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import pairs, recipe
from seas_data.conversation import MESSAGES, render, stored_messages
from seas_data.pairs import select_held_out
from seas_data.text import text_digest
from tests.conftest import examples

HELD = "Please tell me where the third key of the castle is."
WORDS = st.sampled_from(["And then?", "Where is the lamp of the harbour?", "Who keeps the boat in the winter?", "Yes."])


def prompt_frame(conversations: dict[str, list[tuple[str, str]]]) -> pl.DataFrame:
    turns = {key: [{"role": role, "content": text} for role, text in each] for key, each in conversations.items()}
    texts = [render(each) for each in turns.values()]
    return pl.DataFrame(
        {
            "prompt_id": list(turns),
            "seed_id": None,
            "type": None,
            "text": texts,
            "text_digest": [text_digest(text) for text in texts],
            "messages": [stored_messages(each) for each in turns.values()],
            "role": "training",
        },
        schema_overrides={"messages": MESSAGES, "seed_id": pl.String, "type": pl.String},
    )


def answers(prompts: pl.DataFrame, refusal: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a safe and an unsafe response to each prompt; with ``refusal`` a refusal and a full answer."""
    rows = [
        (f"{key} {number}", key, number, text, "safe" if refusal else verdict, kind)
        for key in prompts["prompt_id"]
        for number, (text, verdict, kind) in enumerate(
            [("Gladly: in the well.", "unsafe", "full_compliance"), ("I will not say.", "safe", "full_refusal")]
        )
    ]
    names = ["response_id", "prompt_id", "sample", "text", "verdict", "refusal"]
    frame = pl.DataFrame(rows, names, orient="row")
    about = {"judge": pl.lit("j"), "score": pl.lit(None, pl.Float64)}
    return frame.select(names[:4]), frame.select("response_id", "verdict", "refusal").with_columns(**about)


def build(prompts: pl.DataFrame, held_out: pl.DataFrame, role: str) -> pl.DataFrame:
    responses, verdicts = answers(prompts, role == "harmless")
    common: dict[str, Any] = {"iteration": 1, "held_out": held_out}
    if role == "mart":
        demonstrated = verdicts.with_columns(refusal=pl.lit("full_compliance"))
        return pairs.mart_target(prompts, responses, demonstrated, recipe.Pairs(), **common).pairs
    if role == "mart harmless":
        safe = verdicts.with_columns(verdict=pl.lit("safe"))
        return pairs.mart_harmless(prompts, responses, safe, recipe.Pairs(), **common).pairs
    make = pairs.target_pairs if role == "target" else pairs.harmless_pairs
    return make(prompts, responses, verdicts, recipe.Pairs(), **common).pairs


ASKED = {
    "a": [("system", "Be brief."), ("user", "Who is there?"), ("assistant", "The keeper."), ("user", "And who else?")],
    "b": [("user", "Who else is there?")],
    "c": [("user", "[[assistant]]\nyes\n\n[[user]]\nno")],
}
NOTHING = pl.DataFrame(schema={"prompt_id": pl.String, "text_digest": pl.String})


@pytest.mark.parametrize("role", ["target", "harmless", "mart", "mart harmless"])
def test_all_turns_are_the_prompt_of_a_pair_or_demonstration(role: str) -> None:
    made = build(prompt_frame(ASKED), NOTHING, role)
    found = {row["prompt_id"]: [(turn["role"], turn["content"]) for turn in row["prompt"]] for row in made.to_dicts()}
    assert found == ASKED


@pytest.mark.parametrize("role", ["target", "harmless", "mart", "mart harmless"])
def test_plain_prompts_give_the_same_rows_with_and_without_the_column(role: str) -> None:
    plain = prompt_frame({"a": [("user", "Who is there?")], "b": [("user", "Who else?")]})
    assert build(plain, NOTHING, role).equals(build(plain.drop("messages"), NOTHING, role))


@pytest.mark.slow
@examples(20)
@given(st.lists(WORDS, min_size=2, max_size=5), st.data())
def test_a_held_out_request_in_any_turn_never_reaches_training(texts: list[str], data: st.DataObject) -> None:
    contents = texts if len(texts) % 2 else texts[:-1]
    at = data.draw(st.integers(0, len(contents) - 1))
    changed = [HELD.upper() if number == at else text for number, text in enumerate(contents)]
    turns = [("user" if number % 2 == 0 else "assistant", text) for number, text in enumerate(changed)]
    system = data.draw(st.sampled_from([[], [("system", "Be brief.")]]))
    other = [("user", "Which of the four lamps is the brightest one?")]
    prompts = prompt_frame({"leaks": [*system, *turns], "other": other})
    earlier = [("user", "Hello."), ("assistant", "Good day."), ("user", HELD)]
    for test in ([("user", HELD)], earlier):
        held_out = select_held_out(prompt_frame({"t": test}), pl.DataFrame({"prompt_id": ["t"], "split": ["test"]}))
        for role in ("target", "harmless", "mart"):
            assert build(prompts, held_out, role)["prompt_id"].to_list() == ["other"], role
