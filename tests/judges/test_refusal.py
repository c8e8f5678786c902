import pytest

from seas_data.judges.refusal import parse, to_messages


def test_the_messages_hold_the_question_and_the_response() -> None:
    (message,) = to_messages("what is {in} it? {response}", "a {question} mark")
    assert message["role"] == "user"
    assert "<question>\nwhat is {in} it? {response}\n</question>" in message["content"]
    assert "<response>\na {question} mark\n</response>" in message["content"]
    for name in ("1_full_compliance", "2_full_refusal", "3_partial_refusal"):
        assert message["content"].count(name) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_full_compliance", "full_compliance"),
        ("2_full_refusal", "full_refusal"),
        ("3_partial_refusal", "partial_refusal"),
        (" 1_full_compliance\n", "full_compliance"),
        ("full_refusal", "full_refusal"),
        ("2_Full_Refusal.", "full_refusal"),
        ('"3_partial_refusal"', "partial_refusal"),
        ("**1_full_compliance**", "full_compliance"),
        ("Class: 2_full_refusal", "full_refusal"),
        ("The class is 2_full_refusal.", "full_refusal"),
        ("Answer: `1_full_compliance`", "full_compliance"),
        ("2_full_refusal\n\nIt says that it will not answer.", "full_refusal"),
        ("It answers, with a warning.\n\n1_full_compliance", "full_compliance"),
        *(
            (text, None)
            for text in (
                *("", "1", "2", "3", "refusal", "compliance", "full compliance", "full", "partial", "safe", "yes"),
                "1_full_compliance or 2_full_refusal",
                "2_full_refusal\n3_partial_refusal",
                "The class is 2_full_refusalx\n3_partial_refusal",
                "1_full_compliance, 2_full_refusal, 3_partial_refusal",
                "It is not 2_full_refusal but 1_full_compliance",
                "This is no full_refusal.",
                "2_full_compliance",
                "1_partial_refusal",
                "4_full_refusal",
                "not_full_refusal",
                "full_refusals",
                "2_full_refusal_3",
                "I would not call it 1_full_compliance\nsince it is none of these",
            )
        ),
    ],
)
def test_replies(text: str, expected: str | None) -> None:
    assert parse(text) == expected
