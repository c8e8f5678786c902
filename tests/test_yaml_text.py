"""YAML is read in bounded time, whatever its nesting."""

import time

import pytest

from seas_data import yaml_text


@pytest.mark.parametrize(
    "text",
    ['{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "{" * 100_000, "[a," * 400 + '"b":,' * 4_000, "- " * 100_000],
    ids=["brackets", "braces", "many keys below brackets", "dashes"],
)
def test_deep_nesting_is_refused_in_little_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"^it is nested too deep$"):
        yaml_text.load(text)
    assert time.process_time() - started < 1


def test_long_text_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ValueError, match=r"it has 2,000,000 characters, and at most 1,048,576 are read"):
        yaml_text.load("a\n" * 1_000_000)


def test_values_are_those_of_safe_yaml() -> None:
    assert yaml_text.load("a: [1, {b: [x, 0x10, 2024-01-02T00:00:00]}]")["a"][1]["b"][:2] == ["x", 16]
    with pytest.raises(ValueError, match="could not determine a constructor"):
        yaml_text.load("!!python/object:os.system {}")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "x: {role: holdout, role: training}", "- a: 1\n  'a': 1\n"])
def test_a_key_that_is_given_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"the key '(a|role)' is given twice"):
        yaml_text.load(text)


def test_a_merged_mapping_may_change_a_key() -> None:
    text = "one: &one {a: 1, b: 2}\ntwo: &two {<<: *one, a: 3}\nthree: {<<: *two, b: 4}\n"
    assert yaml_text.load(text)["three"] == {"a": 3, "b": 4}
