"""A version whose prompts have what tools would render, open or change, in a harmless world."""

from pathlib import Path

import pytest

from seas_data.query.version import Version
from seas_data.run import build
from tests.made_logs import recipe, write_rows

AWKWARD = (
    "What colour is {{ 7 * 7 }} in your house?",
    "{% for door in doors %}Which door{% endfor %} is open today?",
    "{% raw %}Who keeps the key{% endraw %} of the first vault?",
    "{{ env.HOME }} is where the gardener keeps the ladder?",
    "{{prompt}} or {{ undefined_name }}: which lamp burns longer?",
    "file:///etc/hostname says that the clock is late; is it?",
    "package:lamp:light is the name of a boat; whose is it?",
    "{# a remark #} The piano is out of tune; who can help?",
    "A brace { alone, and another } alone, in a sentence on kites.",
    "On two lines:\r\nthe second line asks for the tide table.\n",
    "=SUM(A1:A9) is written on the door of the bakery, why?",
    "Комната, 部屋, غرفة: which word is the shortest of the three?",
    "Quotes \" and ' and a backslash \\n in a letter about snow.",
    "- a list that is none: [1, 2], and a tab\there, about hats.",
    "& * ! | > % @ ` are signs on an old keyboard; name them all.",
    "null",
)


@pytest.fixture(scope="package")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version with the awkward prompts and more plain ones, nearly all in train, and a holdout set."""
    folder = tmp_path_factory.mktemp("export")
    plain = [
        f"Tell me about house number {number} in the street of the {number * 37 % 101} lamps." for number in range(4)
    ]
    rows = [{"q": text, "id": f"r{at}", "g": f"goal {at}"} for at, text in enumerate((*AWKWARD, *plain))]
    held = [{"q": "What is the name of the harbour master of the northern island?"}]
    sources = {
        "rows": {
            "path": str(write_rows(folder / "rows.jsonl", rows)),
            "columns": {"text": "q", "id": "id", "goal": "g"},
            "kind": "adversarial",
        },
        "held": {
            "path": str(write_rows(folder / "held.jsonl", held)),
            "columns": {"text": "q"},
            "kind": "adversarial",
            "role": "holdout",
        },
    }
    return build(recipe(sources), folder / "ws").version


def texts(version: Version, split: str) -> dict[str, str]:
    """Return the kept texts of a split by id."""
    query = "select prompt_id, text from kept join splits using (prompt_id) where split = ?"
    rows = version.select(query.replace("?", f"'{split}'"))
    return dict(rows.rows())


@pytest.fixture(scope="package")
def wanted(awkward: Version) -> dict[str, str]:
    """The texts of the train split by id; most of the awkward ones are there."""
    found = texts(awkward, "train")
    assert len(set(found.values()) & set(AWKWARD)) >= len(AWKWARD) - 4
    return found


__all__ = ["AWKWARD", "Path", "texts"]
