"""The library: headers as they should be, headers as they are wrong, and values from the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.query import library, listing
from tests.conftest import examples

TEXT = """\
-- title: Sizes
-- question: How large are they,
--     and which is the largest?
-- topic: data
-- parameter: most integer 20 "How many to list"
-- parameter: split text 'the test' "Which split"
-- parameter: at_least number 0.5 "The lowest share"
-- parameter: all boolean false "Dropped ones too"
-- parameter: by text type type|style "What to tell apart"
-- chart: bar x=size y=label
-- a remark is no header line, so it stands below one
select 1 as size, 'a;b' as label -- why
where $most > 0;
"""
SIZES = TEXT.replace("-- a remark is no header line, so it stands below one\n", "")


EXPECTED = [
    ("most", "integer", 20, "How many to list"),
    ("split", "text", "the test", "Which split"),
    ("at_least", "number", 0.5, "The lowest share"),
    ("all", "boolean", False, "Dropped ones too"),
    ("by", "text", "type", "What to tell apart", ("type", "style")),
]


def test_a_file_is_read_as_its_header_says() -> None:
    query = library.parse("sizes", SIZES)
    assert (query.name, query.title) == ("sizes", "Sizes")
    assert query.question == "How large are they, and which is the largest?"
    assert [library.Parameter(*each) for each in EXPECTED] == list(query.parameters.values())
    assert query.topic == "data"
    assert library.parse("sizes", SIZES.replace("-- topic: data\n", "")).topic == "more"
    assert query.chart == library.Chart("bar", {"x": "size", "y": "label"})
    assert query.sql == "select 1 as size, 'a;b' as label -- why\nwhere $most > 0\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-- chart: bar x=size y=label", "-- a remark", "line 10: expected a header key"),
        ("-- chart: bar x=size y=label\n", "", "line 1: the header has no chart"),
        ("-- title: Sizes\n", "", "line 1: the header has no title"),
        ("-- title: Sizes", "-- title: Sizes\n-- title: Lengths", "line 2: title appears twice"),
        ("bar x=", "pie x=", "line 10: expected a mark .bar, line"),
        ("x=size", "depth=size", "line 10: expected a mark"),
        ("x=size", "x=", "line 10: expected a mark"),
        ("integer 20", "integer many", "line 5: 'many' is not an integer"),
        ("integer 20", "date 20", "line 5: date is not a type; choose one of: text, integer, number, boolean"),
        ("most integer", "Most integer", "line 5: Most is not a valid name"),
        ('"How many to list"', "How many", "line 5: expected: name type default"),
        ('"How many to list"', '"How many', "line 5: expected: name type default"),
        ("boolean false", "boolean no", "line 8: 'no' is not a boolean; write true or false"),
        ("topic: data", "topic: doors", "line 4: doors is not a topic; choose one of: overview, safety"),
        ("text type type", "text kind type", "line 9: 'kind' is not one of type, style"),
        ("text type type", "integer 1 type", "line 9: expected: name type default"),
        ("number 0.5", "number nan", "line 7: 'nan' is not a number"),
    ],
)
def test_a_wrong_header_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    assert old in SIZES
    with pytest.raises(SeasDataError, match=f"^sizes.sql, {said}"):
        library.parse("sizes", SIZES.replace(old, new))


def test_values_are_typed_and_the_others_have_their_defaults() -> None:
    query = library.parse("sizes", SIZES)
    assert query.values([]) == {"most": 20, "split": "the test", "at_least": 0.5, "all": False, "by": "type"}
    given_values = query.values(["most=3", "all=TRUE", "split=a=b", "at_least=1", "by=style"])
    assert given_values == {"most": 3, "split": "a=b", "at_least": 1.0, "all": True, "by": "style"}
    assert [type(value) for value in given_values.values()] == [int, str, float, bool, str]


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("most=many", "--param most=many: 'many' is not an integer; parameters: most"),
        ("most=1.5", "--param most=1.5: '1.5' is not an integer"),
        ("at_least=inf", "--param at_least=inf: 'inf' is not a number"),
        ("all=1", "--param all=1: '1' is not a boolean"),
        ("size=1", "sizes has no parameter size; parameters: most .integer, default 20: How many to list.; split"),
        ("by=Type", "--param by=Type: 'Type' is not one of type, style; parameters: most"),
        ("most", "--param most is not of the form name=value"),
        ("=1", "--param =1 is not of the form name=value"),
    ],
)
def test_a_wrong_value_is_refused_with_the_parameters_that_there_are(pair: str, said: str) -> None:
    with pytest.raises(SeasDataError, match=f"^{said}"):
        library.parse("sizes", SIZES).values([pair])


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(SeasDataError, match="given twice"):
        library.parse_parameters(["a=1", "a=2"])


@examples(50)
@given(st.text(), st.text())
def test_any_text_is_a_header_or_an_error_with_a_line(header: str, value: str) -> None:
    text = f"-- title: a\n-- parameter: {header}\n-- {value}\nselect 1"
    try:
        library.parse("any", text)
    except SeasDataError as problem:
        assert str(problem).startswith("any.sql, line ")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    queries = {"sizes": library.parse("sizes", SIZES)}
    assert library.get(queries, "sizes").title == "Sizes"
    with pytest.raises(SeasDataError, match=r"there is no query size \(did you mean sizes\?\); choose one of: sizes"):
        library.get(queries, "size")


def test_the_overview_has_a_line_a_query_with_what_can_be_given() -> None:
    row = listing.queries_frame({"sizes": library.parse("sizes", SIZES)}).row(0, named=True)
    assert row["name"] == "sizes"
    assert row["parameters"] == "most=20 split='the test' at_least=0.5 all=false by=type"
