"""The public names of the package."""

import inspect
import re
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from tests.conftest import CHECKOUT, EXAMPLE
from tests.program import called


def test_every_public_name_exists_and_is_in_the_changelog() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Za-z_]\w*)`", changelog))
    missing = {name for name in sd.__all__ if not hasattr(sd, name)}
    assert not missing
    assert set(sd.__all__) <= named, "add a line to CHANGELOG.md"
    listed = re.search(r"- Public API, `import seas_data as sd`:(.*?)\n(?=\n|- )", changelog, re.DOTALL)
    assert listed
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(sd.__all__), "the public surface changed: see CONTRIBUTING.md"


def test_public_functions_are_typed_and_say_what_they_raise() -> None:
    functions = [getattr(sd, name) for name in sd.__all__ if inspect.isfunction(getattr(sd, name))]
    assert len(functions) >= 12
    for function in functions:
        assert inspect.get_annotations(function).keys() >= {*inspect.signature(function).parameters, "return"}
        assert inspect.getdoc(function)
    assert (Path(sd.__file__).parent / "py.typed").exists()


def test_the_package_knows_its_version_and_no_other_names() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", sd.__version__)
    printed = called("--version")
    assert (printed.returncode, printed.stdout) == (0, f"seas-data {sd.__version__}\n")
    with pytest.raises(AttributeError, match="no attribute nothing"):
        sd.nothing  # noqa: B018


def test_a_build_by_a_path_stays_callable_and_finds_nothing_new_the_second_time(example: Path, tmp_path: Path) -> None:
    import shutil

    workspace = shutil.copytree(example, tmp_path / "ws")
    for _ in range(2):  # a second time: the function is not hidden by a module of its name
        built = sd.build(str(EXAMPLE), workspace)
        assert (built.new, built.version.name) == (False, "v0")
    with pytest.raises(sd.SeasDataError, match=r"no-such-recipe"):
        sd.build("no-such-recipe", workspace)


def test_the_path_of_a_recipe_may_be_a_text() -> None:
    assert sd.load_recipe(str(EXAMPLE)).digest() == sd.load_recipe(EXAMPLE).digest()


@pytest.mark.slow
def test_a_version_is_checked_carded_and_compared(made: Path) -> None:
    workspace = sd.open(made)
    first, last = workspace.version("v0"), workspace.version()
    added = first.diff(last)["added"]
    assert added["rows"].sum() == last.table("kept").join(first.table("kept"), on="prompt_id", how="anti").height
    assert sd.card(last).startswith("---\n")
    with pytest.raises(sd.SeasDataError, match="secret"):
        sd.card(last, profile="secret")
    with pytest.raises(sd.SeasDataError, match="no-such-check"):
        sd.check(last, waivers={"no-such-check": "because"})


def test_near_duplicates_are_found_on_a_plain_frame() -> None:
    texts = ["Where is the blue door of the castle?", "where is  the blue door of the castle?", "Who waters the roses?"]
    texts.append("Where is the blue door of the castle??")
    found = sd.find_near_duplicates(pl.DataFrame({"text": texts}), 0.8)
    assert found.select("row", "neighbour_row").rows() == [(0, 1), (0, 3)]
    assert found["similarity"][0] == 1.0
    assert 0.8 <= found["similarity"][1] < 1.0
    assert sd.find_near_duplicates(pl.DataFrame({"text": ["one"]})).is_empty()


def test_disguised_copies_of_holdout_prompts_are_found_on_plain_frames() -> None:
    holdout = pl.DataFrame({"text": ["Who waters the roses?", "Where is the blue door of the castle?"]})
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter != " " else letter for letter in "Where is the blue door")
    prompts = pl.DataFrame({"text": ["What is for lunch?", f"{wide} of the castle?", "Sing a song about summer."]})
    found = sd.find_contaminated(prompts, holdout)
    assert found.select("row", "holdout_row").rows() == [(1, 1)]
    assert found["score"][0] >= 0.8


def test_responses_are_judged_by_a_recipe_without_a_workspace() -> None:
    recipe = sd.Recipe.model_validate(
        {
            "name": "judged",
            "sources": {"none": {"path": "none.jsonl", "language": "en", "kind": "adversarial"}},
            "judges": [{"by": "rules", "name": "keeper", "unsafe": {"words": ["velorin"]}}],
        }
    )
    prompts = pl.DataFrame({"prompt_id": ["p"], "text": ["What opens the box?"]})
    responses = pl.DataFrame(
        {"response_id": ["a", "b", "c"], "prompt_id": ["p"] * 3, "text": ["Say velorin.", "I do not know.", None]}
    )
    verdicts = sd.judge(recipe, prompts, responses)
    assert verdicts.select("response_id", "judge", "verdict").rows() == [
        ("a", "keeper", "unsafe"),
        ("b", "keeper", "safe"),
    ]
    with pytest.raises(sd.SeasDataError, match="prompts of 2 responses"):
        sd.judge(recipe, prompts.clear(), responses)
