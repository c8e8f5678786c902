"""A value never changes the structure of a page: a parser finds the same elements around it as around ``door``."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markupsafe import Markup

from seas_data import markdown
from tests.conftest import examples

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b |\n|---|---|\n| c | d",
    "\n\n# A heading of mine\n\n",
    "\n---\nlicense: mit\n---\n",
    "**bold** [link](https://evil.example) ![picture](https://evil.example/x.png)",
    "`code` `` two ``` three",
    "```\nfence",
    "{{ 7 * 7 }}{% for x in range(9) %}{{ x }}{% endfor %}{# note #}",
    "https://evil.example and www.evil.example and me@evil.example",
    "\u202egpj.exe\u2066\u200b\ufeff",
    "\x1b[31mred\x1b]8;;https://evil.example\x07here\x00",
    "<!-- seas-data: end -->",
    "$$x$$ @someone :smile: &lt;b&gt; ~~gone~~ [^1]",
    "\\| \\` \\",
    "1. one",
    "- one",
    "> quote",
    "    indented",
    "=HYPERLINK(1)",
    "x" * 100_000,
    "|" * 100_000,
    "`" * 100_000,
    "\n" * 100_000,
]
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Tags(HTMLParser):
    """The tags of a page, in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append(f"comment {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def shape(page: str) -> list[str]:
    """Return the tags of a page of Markdown; a value's own code span is not part of the page's structure."""
    return [tag for tag in Tags(PARSER.render(page)).tags if tag != "code"]


PLACES = [
    "{}",
    "A word, {} and another.",
    "- {}",
    "**{}**",
    "# {}",
    "| a | b |\n| --- | --- |\n| {} | next |\n| last | {} |",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:20]))
def test_a_hostile_value_does_not_change_the_structure_of_the_page(value: str, place: str) -> None:
    shown = markdown.escape(value)
    assert shape(place.replace("{}", shown)) == shape(place.replace("{}", "door"))
    assert len(shown) <= markdown.LONGEST * 6 + 2  # a control character is spelled out


@examples(100)
@given(st.text(max_size=60), st.sampled_from(PLACES))
def test_no_value_changes_the_structure_of_the_page(value: str, place: str) -> None:
    shown = markdown.escape(value)
    assert shape(place.replace("{}", shown)) == shape(place.replace("{}", "door"))
    assert "\n" not in shown and "|" not in shown


@examples(100)
@given(st.text(alphabet="ab1.-_*`|<>[]()!#:/\\ \n&$~@+={}'\"", max_size=40), st.sampled_from(PLACES))
def test_no_mixture_of_punctuation_changes_the_structure_of_the_page(value: str, place: str) -> None:
    assert shape(place.replace("{}", markdown.escape(value))) == shape(place.replace("{}", "door"))


@examples(100)
@given(st.text(min_size=1, max_size=60))
def test_a_value_is_rendered_as_its_text_on_one_line(value: str) -> None:
    shown = Tags(PARSER.render(f"x {markdown.escape(value)} y")).text.strip()
    told = markdown.line(value)
    expected = markdown.line(told.replace("`", r"\u{60}").replace("|", r"\u{7c}")) if told else "–"
    assert shown == f"x {expected} y"
    assert len(expected) <= markdown.LONGEST


@pytest.mark.parametrize(
    "value", ["https://evil.example", "www.evil.example", "a@evil.example", "evil.example", ":smile:", "$x$"]
)
def test_possible_links_are_put_into_code_spans(value: str) -> None:
    assert markdown.escape(value) == f"`{value}`"


@pytest.mark.parametrize(
    "value",
    ["seval_base_en", "IS2Lab/S-Eval", "CC-BY-NC-SA-4.0", "Qwen2.5-3B", "a person's word: no", "二つの扉", "الباب"],
)
def test_plain_words_stay_plain(value: str) -> None:
    assert markdown.escape(value) == value


def test_values_that_are_not_text() -> None:
    values = [None, True, 1234567, 0.5, 0.123456, "", "  "]
    assert [markdown.escape(value) for value in values] == ["–", "yes", "1,234,567", "0.5", "0.123", "–", "–"]
    assert markdown.escape(Markup("*mine*")) == "*mine*"


def test_numeric_columns_are_right_aligned() -> None:
    table = markdown.table(["name", "n", "share"], [["a|b", 1200, Markup("50.0 %")], ["c", None, None]])
    assert table.splitlines() == [
        "| name | n | share |",
        "| --- | ---: | ---: |",
        r"| `a\u{7c}b` | 1,200 | 50.0 % |",
        "| c | – | – |",
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another number of cells"):
        markdown.table(["a", "b"], [[1]])


def test_a_long_value_is_cut_and_white_space_does_not_hide_it() -> None:
    assert markdown.line("x" * 121) == "x" * 119 + "…"
    assert markdown.line("x" * 120) == "x" * 120
    assert markdown.line("x" * 120 + " and more") == "x" * 119 + "…"
    assert markdown.line("\n" * 100_000 + "a door") == "a door"


def test_invisible_characters_are_made_visible() -> None:
    assert re.fullmatch(r"[\x20-\x7e]*", markdown.line("a\u202eb\u200bc\x1b\x00\u2028d\ue000"))
