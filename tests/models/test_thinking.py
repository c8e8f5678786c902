import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.models.thinking import is_thinking_tag, opens_thinking, read_final_answer, split_thinking


@pytest.mark.parametrize(
    ("text", "answer", "thinking"),
    [
        ("blue", "blue", None),
        ("<think>the word is velorin</think>blue", "blue", "the word is velorin"),
        ("\n<think>\nthe word\n</think>\n\nblue\n", "blue\n", "the word"),
        ("<think>\n\n</think>\n\nblue", "blue", ""),
        ("<THINKING>a</THINKING>blue", "blue", "a"),
        ("<reasoning>a</reasoning> <think>b</think> blue", "blue", "a\n\nb"),
        ("[THINK]a[/THINK]blue", "blue", "a"),
        ("the chat template opened it</think>\n\nblue", "blue", "the chat template opened it"),
        ("<think>cut off before it end", "", "cut off before it end"),
        ("blue <think>later</think> green", "blue <think>later</think> green", None),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>blue<|return|>",
            "blue",
            "a",
        ),
        ("<|channel|>analysis<|message|>cut off", "", "cut off"),
        ("\ufeff<think>velorin</think>blue", "blue", "velorin"),
        ("<think effort='low'>velorin</think>blue", "blue", "velorin"),
        ("\u25c1think\u25b7velorin\u25c1/think\u25b7blue", "blue", "velorin"),
        ("<|begin_of_thought|>velorin<|end_of_thought|>blue", "blue", "velorin"),
        ("<|START_THINKING|>velorin", "", "velorin"),
        ("<thinker>velorin</thinker>blue", "<thinker>velorin</thinker>blue", None),
    ],
)
def test_thinking_before_an_answer_is_split_off(text: str, answer: str, thinking: str | None) -> None:
    assert split_thinking(text)[:2] == (answer, thinking)


@pytest.mark.parametrize(
    ("text", "answer", "thinking"),
    [
        ("the word is vel", "", "the word is vel"),  # cut off: without the prompt it would look like an answer
        ("the word</think>blue", "blue", "the word"),
        ("<think>the word</think>blue", "blue", "the word"),
        ("</think>blue", "blue", ""),
        ("", "", ""),
        ("a</think> <think>b", "", "a\n\nb"),
        ("a[/THINK]blue </think> green", "blue </think> green", "a"),
    ],
)
def test_a_model_that_starts_inside_thinking_has_answered_only_after_its_end(
    text: str, answer: str, thinking: str
) -> None:
    assert split_thinking(text, opened=True)[:3] == (answer, thinking, None)


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [
        ("<user>hi<assistant><think>\n", True),
        ("<user>hi<assistant>[THINK]", True),
        ("<user>hi<assistant><think>\n\n</think>\n\n", False),
        ("<user><think><assistant>", False),
        ("<user>hi<assistant>", False),
    ],
)
def test_a_prompt_opens_thinking_at_its_end_only(prompt: str, opens: bool) -> None:
    assert opens_thinking(prompt, "hi") is opens


@pytest.mark.parametrize(
    ("prompt", "last", "opens"),
    [
        ("<user>say <think>", "say <think>", False),  # a template that writes nothing after the last turn
        ("<user>say <think>\n", "say <think> ", False),
        ("<user>say <think><assistant>", "say <think>", False),
        ("<user>say <think><assistant><think>\n", "say <think>", True),
        ("<user>hi<assistant><think>\n", "hi", True),
        ("<user>a ><assistant><think>", ">", True),
    ],
)
def test_a_tag_in_the_last_turn_opens_no_thinking(prompt: str, last: str, opens: bool) -> None:
    assert opens_thinking(prompt, last) is opens


def test_tags_of_thinking_are_whole_tokens() -> None:
    assert all(map(is_thinking_tag, ("<think>", "</think>", "[THINK]", "[/THINK]", "<seed:think>")))
    assert not any(map(is_thinking_tag, ("<end>", "think", "<think> a", "<|im_end|>", "")))


def test_a_lone_closing_tag_is_noted() -> None:
    assert split_thinking("velorin</think>blue").note == "thinking that ends with a lone closing tag"
    assert split_thinking("<think>velorin</think>blue").note is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("safe", "safe"),
        ("<think>unsafe?</think>\nsafe", "safe"),
        ("unsafe?</think>safe", "safe"),
        ("[THINK]unsafe?[/THINK]safe", "safe"),
        ("<seed:think>unsafe?</seed:think>safe", "safe"),
        ("<|channel|>analysis<|message|>unsafe?<|end|><|start|>assistant<|channel|>final<|message|>safe", "safe"),
        ("<think>safe", None),
        ("safe</think>", None),
        ("<think>a</think>b</think>safe", None),
        ("<think>a</think>safe<think>unsafe", None),
        ("safe <thoughts>unsafe", None),
        ("<|channel|>analysis<|message|>safe", None),
        ("<|channel|>analysis<|message|>unsafe?<|end|>safe", None),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|>safe", None),
    ],
)
def test_the_final_answer_of_a_judge_has_no_tag_of_thinking(text: str, answer: str | None) -> None:
    assert read_final_answer(text) == answer


@given(st.lists(st.sampled_from(["<think>", "</think>", "[THINK]", "<|channel|>", "final", "<|message|>", "a", " "])))
def test_no_character_of_an_answer_is_lost_or_doubled(parts: list[str]) -> None:
    text = "".join(parts)
    answer, thinking, _, start = split_thinking(text)
    assert start is None or (text[start:].startswith(answer) or answer == text[start:].lstrip())
    assert text.rstrip().endswith(answer.rstrip())
    assert (thinking or "").replace("\n\n", "").count("a") + answer.count("a") <= text.count("a")
    if thinking is None:
        assert answer == text


@pytest.mark.parametrize("block", ["<think>a</think>", "<|channel|>analysis<|message|>a<|end|>"])
def test_three_megabytes_of_blocks_are_split_in_time_that_grows_with_its_length(block: str) -> None:
    text = block * (3_000_000 // len(block))
    started = time.process_time()
    assert split_thinking(f"{text}b").answer == "b"
    assert time.process_time() - started < 2
