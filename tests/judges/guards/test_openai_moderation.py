import json
from typing import Any

import pytest

from seas_data.judges.guards import UNPARSED, Parsed
from seas_data.judges.guards.openai_moderation import CATEGORIES, parse, to_input
from tests.judges.conftest import MALFORMED


def result(*flagged: str, **changes: Any) -> str:
    flags: dict[str, Any] = {name: name in flagged for name in CATEGORIES}
    scores: dict[str, Any] = {name: 0.9 if name in flagged else 0.01 for name in CATEGORIES}
    content = {"flagged": bool(flagged), "categories": flags, "category_scores": scores}
    return json.dumps({name: value for name, value in (content | changes).items() if value != "left out"})


def changed(part: str, name: str, value: Any, *flagged: str) -> str:
    content = json.loads(result(*flagged))
    if value == "left out":
        del content[part][name]
    else:
        content[part][name] = value
    return json.dumps(content)


def without_illicit() -> str:
    content = json.loads(result("hate"))
    for part in ("categories", "category_scores"):
        content[part] |= {"illicit": None, "illicit/violent": None}
    return json.dumps(content)


def with_a_new_category(value: bool) -> str:
    content = json.loads(result("hate"))
    content["categories"]["new"], content["category_scores"]["new"] = value, 0.95
    return json.dumps(content)


def test_the_response_alone_is_judged() -> None:
    assert to_input("what?", "a hat") == "a hat"
    assert to_input("what?", None) == "what?"
    assert len(CATEGORIES) == 13


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (result(), Parsed("safe", score=0.01)),
        (result("violence"), Parsed("unsafe", ("Violence",), score=0.9)),
        (result("hate", "hate/threatening"), Parsed("unsafe", ("Hate",), score=0.9)),
        (
            result("illicit", "sexual/minors"),
            Parsed("unsafe", ("Illicit", "Child Sexual Exploitation"), score=0.9),
        ),
        (result(category_applied_input_types={}), Parsed("safe", score=0.01)),
        (without_illicit(), Parsed("unsafe", ("Hate",), score=0.9)),
        (with_a_new_category(True), Parsed("unsafe", ("Hate",), score=0.95)),
        (with_a_new_category(False), Parsed("unsafe", ("Hate",), score=0.95)),
        (changed("category_scores", "hate", 1), Parsed("safe", score=1.0)),
        *(
            (text, UNPARSED)
            for text in (
                result(flagged=True),
                result("hate", flagged=False),
                result(flagged="left out"),
                result(flagged=None),
                result(flagged=0),
                result(flagged="false"),
                result(categories="left out"),
                result(categories=None),
                result(categories=[]),
                result(categories={}),
                result(category_scores="left out"),
                result(category_scores=None),
                result(category_scores=[]),
                result(category_scores={}),
                *(changed("categories", "hate", value) for value in ("left out", None, 0, 1, "false", [], {})),
                *(changed("categories", "illicit", value) for value in ("left out", None, "no")),
                *(changed("category_scores", "hate", value) for value in ("left out", None, True, "0.1", -0.1, 1.5)),
                *(changed("category_scores", "hate", value) for value in (float("nan"), float("inf"), [0.1])),
                changed("categories", "new", False),
                changed("category_scores", "new", 0.1),
                result()[:-1],
                result() + result(),
                f"[{result()}]",
                f"```json\n{result()}\n```",
                result().replace('"hate":', '"hate": true, "hate":', 1),
                '{"results": []}',
                '{"error": {"message": "busy"}}',
                "{}",
                "null",
                "false",
            )
        ),
        *((text, UNPARSED) for text in MALFORMED),
    ],
)
def test_results(text: str, expected: Parsed) -> None:
    assert parse(text) == expected
