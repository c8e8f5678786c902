"""Recipes that hold what no recipe should: each ends with one sentence, and pulled ones read nothing outside."""

import itertools
import json
import re
from pathlib import Path

import pytest

from seas_data import recipe
from seas_data.errors import SeasDataError

BASE = "name: small\nsources: {v: {path: v.jsonl, kind: general}}\n"
ALIASES = ", ".join(f"&{new} [*{old}, *{old}]" for old, new in itertools.pairwise("abcdefghijklmnopqrst"))
MANY = f"[&a [1, 1], {ALIASES}]"
"""A line of YAML with a million values."""
PULLED = "pulled_from: org/set@1.0.0\n"


def load(tmp_path: Path, content: str, *changes: str) -> recipe.Recipe:
    path = tmp_path / "small.yaml"
    path.write_text(content, encoding="utf-8")
    return recipe.load(path, list(changes))


@pytest.mark.parametrize(
    ("content", "change", "message"),
    [
        (
            BASE,
            "models.m=org/name",
            r"models.m should be a section, such as models.m: {model: org/name} \(given: 'org/n",
        ),
        (BASE, "models.m=[1]", "models.m should be a section"),
        (BASE, "models.m=null", "models.m should be a section"),
        (BASE.replace("small", "2024-02-30"), "", "day is out of range for month; put text that looks like a date"),
        (BASE, "name=2024-02-30", "--set name=2024-02-30: .*day is out of range for month"),
        ('base: ""\n' + BASE, "", "base should be the name of a recipe in the same folder"),
        ('base: ".."\n' + BASE, "", "base should be the name of a recipe in the same folder"),
        ('base: "a\\0b"\n' + BASE, "", "base should be the name of a recipe in the same folder"),
        (BASE + f"priority: {'9' * 5_000}\n", "", "Exceeds the limit .* between quotes"),
        (BASE, f"sources.v.priority=0x{'f' * 5_000}", "a number with thousands of digits"),
        (BASE, "sources.v.priority=99999999999", "sources.v.priority: Input should be less than or equal to 1000000"),
        (BASE + f"x: {'[' * 5_000}{']' * 5_000}\n", "", "cannot be read as YAML: it is nested too deep"),
        (BASE, f"x={'{a: ' * 5_000}", "is not a YAML value: it is nested too deep"),
        (BASE, f"sources.v.language_pattern={'(' * 5_000}", "not a regular expression"),
        (BASE + 'x: !!timestamp "a"\n', "", "a value does not fit its tag"),
        (BASE + 'x: !!bool "a"\n', "", "a value does not fit its tag"),
        (BASE + 'description: "\\ud800"\n', "", "half a surrogate pair"),
        (BASE, 'sources.v.path="a\\0b"', "a path has no NUL character"),
        (BASE, "sources.v.path=~nobody-here/x", "the home folder of that user is unknown"),
    ],
)
def test_recipe_with_a_hostile_value_ends_with_one_sentence(
    tmp_path: Path, content: str, change: str, message: str
) -> None:
    with pytest.raises(SeasDataError, match=message) as caught:
        load(tmp_path, content, *[change] if change else [])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1_200


@pytest.mark.parametrize(
    "value",
    [
        *('!!binary "//79"', '!!binary "aGk="', "!!set {a, b}", "!!omap [a: 1]", "2024-01-01", "[2024-01-01 10:00:00]"),
        *(".nan", "{a: -.inf}", "1" + "0" * 5_000, "0x" + "f" * 5_000, "0" + "7" * 6_000, "1" + ":59" * 3_000),
        *(
            "&a [*a]",
            "[&a [1, 1], &b [*a, *a], "
            + ", ".join(f"&{y} [*{x}, *{x}]" for x, y in zip("bcdefghijklmnopqrs", "cdefghijklmnopqrst", strict=True))
            + "]",
        ),
        *("{null: a}", "{true: a}", "{2024-01-01: a}", "{1.5: a}", '"\\ud800"', '{"\\udfff": 1}'),
    ],
)
@pytest.mark.parametrize("key", ["models.m.extra_body", "judges.0.options", "training.red.trl_options"])
def test_free_options_are_what_json_can_hold(tmp_path: Path, key: str, value: str) -> None:
    """They are sent to servers and stored in manifests, both of which are JSON."""
    options = f"{{a: {value}}}"
    sections = {
        "models.m.extra_body": f"models: {{m: {{backend: http, model: x, url: 'http://h', extra_body: {options}}}}}\n",
        "judges.0.options": f"judges: [{{by: guard, guard: wildguard, model: m, options: {options}}}]\n",
        "training.red.trl_options": f"training: {{red: {{trl_options: {options}}}}}\n",
    }
    with pytest.raises(SeasDataError) as caught:
        load(tmp_path, BASE + sections[key])
    assert "\n" not in str(caught.value)
    assert re.search("JSON|half a surrogate pair|thousands of digits|the limit|at most 10,000", str(caught.value))


def test_free_options_keep_what_json_has(tmp_path: Path) -> None:
    options = {
        "logit_bias": {50256: -100},
        "stop": ["a", None, True],
        "deep": {"b": [{"c": 1.5}]},
        "date": "2024-01-01",
    }
    model = {"backend": "http", "model": "x", "url": "http://h/v1", "extra_body": options}
    loaded = load(tmp_path, BASE + json.dumps({"models": {"m": model}})[1:-1].replace('"models": ', "models: ", 1))
    assert json.loads(json.dumps(loaded.models["m"].extra_body)) == json.loads(json.dumps(options))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "path", ["$SANDBOX/../../x.jsonl", "$SANDBOX/a/../../x", "$SANDBOXES/x", "$SANDBOX_FILES", "$SANDBOX.."]
)
@pytest.mark.parametrize("pulled", [PULLED, ""])
def test_a_path_below_the_sandbox_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, pulled: str
) -> None:
    monkeypatch.delenv("SANDBOXES", raising=False)
    with pytest.raises(SeasDataError, match=r"stays below|is not set|the recipe was pulled"):
        load(tmp_path, BASE.replace("v.jsonl", f"'{path}'") + "sandbox: {}\n" + pulled)
    assert load(tmp_path, BASE.replace("v.jsonl", "$SANDBOX/v.jsonl") + "sandbox: {}\n" + pulled)


@pytest.mark.parametrize("path", ["$HF_TOKEN/x.jsonl", "${HF_TOKEN}", "/etc/passwd", "~/x.jsonl", "../x.jsonl"])
@pytest.mark.parametrize("key", ["sources.v.path", "overrides", "embedders.0.model"])
def test_pulled_recipe_reads_neither_environment_nor_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, key: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    if key == "embedders.0.model":
        if path.startswith("."):
            pytest.skip("not a path of a model")
        content = BASE + f"embedders: [{{model: '{path}', languages: [en]}}]\n"
    elif key == "overrides":
        content = BASE + f"overrides: '{path}'\n"
    else:
        content = BASE.replace("v.jsonl", f"'{path}'")
    with pytest.raises(SeasDataError, match="the recipe was pulled, and it may read neither environment") as caught:
        load(tmp_path, content + PULLED)
    assert "hf_secret" not in str(caught.value)
    load(tmp_path, content)
    load(tmp_path, content + PULLED, "pulled_from=null")


def test_pulled_recipe_reads_a_path_that_the_command_line_gives(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE + PULLED, "sources.v.path=/data/v.jsonl")
    assert loaded.sources["v"].path == "/data/v.jsonl"
    assert load(tmp_path, BASE + PULLED).sources["v"].path == str(tmp_path / "v.jsonl")


def test_message_about_many_faults_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    keys = "".join(f'"a{number}\\n": {"x" * 500}\n' for number in range(200))
    with pytest.raises(SeasDataError, match=r"and 190 more$") as caught:
        load(tmp_path, BASE + keys)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 12_000


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc", "./x", "~/x", "json", "imagefolder", "org/..", "org/x/y", "org/", "org/x\\n", "http://h/x", ""],
)
def test_a_dataset_of_the_hub_is_no_local_folder(tmp_path: Path, name: str) -> None:
    """`datasets` reads a folder of that name, or with the name of a file format the current one."""
    source = f'{{hub: "{name}", revision: {"a" * 40}, kind: general}}'
    with pytest.raises(SeasDataError, match="hub should be the name of a dataset on the Hub"):
        load(tmp_path, f"name: small\nsources: {{v: {source}}}\n")
