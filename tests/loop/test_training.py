"""Instructions that the first target is fine-tuned on: those with a held-out text are dropped."""

import polars as pl
import pytest

from seas_data.loop.training import drop_held_out_instructions
from seas_data.pairs import select_held_out
from seas_data.text import text_digest

TEXT = "Which door is blue?"
HELD_OUT = select_held_out(
    pl.DataFrame({"prompt_id": ["p"], "text": [TEXT], "text_digest": [text_digest(TEXT)], "role": ["train"]}),
    pl.DataFrame({"prompt_id": ["p"], "split": ["test"]}),
)


def test_instructions_with_the_text_of_a_held_out_prompt_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame(
        {"prompt": ["Which door is  BLUE?", "Which door is red?", "Which bird sings?"], "completion": ["a", "b", "c"]}
    )
    kept = drop_held_out_instructions(rows, HELD_OUT)
    assert kept.equals(rows[1:])
    assert "1 of 3 instructions are dropped" in capsys.readouterr().err


def test_every_message_of_a_conversation_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    first, other = "Which door is blue?", "And which is red?"
    conversations = [
        [{"role": "user", "content": first}, {"role": "assistant", "content": "x"}, {"role": "user", "content": other}],
        [{"role": "user", "content": other}],
    ]
    rows = pl.DataFrame({"prompt": conversations, "completion": [[{"role": "assistant", "content": "y"}]] * 2})
    assert drop_held_out_instructions(rows, HELD_OUT).equals(rows[1:])
    assert drop_held_out_instructions(rows[1:], HELD_OUT).equals(rows[1:])
    assert capsys.readouterr().err.count("dropped") == 1
