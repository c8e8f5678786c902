"""Exports hold the texts of their split, exactly, with licence and version, for the owner alone, and never holdout."""

import csv
import json
import stat
from pathlib import Path

import pytest
import yaml
from jinja2.sandbox import SandboxedEnvironment

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.export import TOOLS, export, promptfoo, pyrit
from seas_data.release.export.rows import About, ExportRow
from tests.program import called

ABOUT = About("logs", "v0", "abc", "test", "CC0-1.0")


@pytest.mark.parametrize("tool", sorted(TOOLS))
@pytest.mark.slow
def test_a_file_names_its_version_and_licence_and_is_its_owners_alone(
    awkward: Version, tmp_path: Path, tool: str
) -> None:
    made = export(awkward, tool, tmp_path / "out", "train")
    content = (tmp_path / "out").read_text()
    assert made.written == awkward.sql("select count(*) from splits where split = 'train'").item()
    assert "CC0-1.0" in content and "logs v0" in content
    assert "harbour master" not in content
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    export(awkward, tool, tmp_path / "again", "train")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()


def test_inspect_harmbench_and_garak_files_hold_the_texts_as_they_are(
    awkward: Version, wanted: dict[str, str], tmp_path: Path
) -> None:
    for tool in ("inspect", "harmbench", "garak"):
        export(awkward, tool, tmp_path / tool, "train")
    samples = [json.loads(line) for line in (tmp_path / "inspect").read_text().splitlines()]
    assert {each["id"]: each["input"] for each in samples} == wanted
    assert all(each["metadata"]["goal"].startswith("goal ") for each in samples)
    with (tmp_path / "harmbench").open(newline="") as file:
        assert {row["BehaviorID"]: row["Behavior"] for row in csv.DictReader(file)} == wanted
    payloads = json.loads((tmp_path / "garak").read_text())
    assert dict(zip(payloads["prompt_ids"], payloads["payloads"], strict=True)) == wanted


def test_the_values_for_pyrit_render_to_the_texts(awkward: Version, wanted: dict[str, str], tmp_path: Path) -> None:
    export(awkward, "pyrit", tmp_path / "seeds.yaml", "train")
    seeds = yaml.safe_load((tmp_path / "seeds.yaml").read_text())["seeds"]
    environment = SandboxedEnvironment()
    assert {each["name"]: environment.from_string(each["value"]).render() for each in seeds} == wanted


def test_no_value_for_promptfoo_begins_with_a_file_or_has_a_template() -> None:
    for text in ("file://x.js", "package:a:b", "file:package:x"):
        assert not promptfoo.escape(text).startswith(("file:", "package:"))
    assert promptfoo.escape("{{ x }}").count("{% raw %}{{% endraw %}") == 2
    assert promptfoo.escape("plain") == "plain" == pyrit.escape("plain")


def test_conversations_stay_conversations_or_are_counted() -> None:
    turns = (("system", "Be brief."), ("user", "Soup?"), ("assistant", "No."), ("user", "Please {{ x }}."))
    row = ExportRow("p", turns[-1][1], turns, None, {"kind": "adversarial", "source": "s"})
    sample = json.loads(TOOLS["inspect"].write([row], ABOUT))
    assert [(each["role"], each["content"]) for each in sample["input"]] == list(turns)
    seeds = yaml.safe_load(TOOLS["pyrit"].write([row], ABOUT))["seeds"]
    assert [(each["role"], each["sequence"], each["prompt_group_alias"]) for each in seeds] == [
        (role, number, "p") for number, (role, _) in enumerate(turns)
    ]
    assert {name for name, tool in TOOLS.items() if tool.takes_turns} == {"pyrit", "inspect"}


def test_holdout_is_never_exported_and_what_is_wrong_is_said(awkward: Version, tmp_path: Path) -> None:
    for split, tool, says in (
        ("holdout", "pyrit", "holdout prompts are other people's tests; set --split to one of: train, test, harmless"),
        ("all", "pyrit", "there is no split 'all'"),
        ("test", "tool", "there is no export to 'tool'; choose one of: pyrit, promptfoo"),
        ("harmless", "garak", "v0 has no prompt in the split harmless that garak takes"),
    ):
        with pytest.raises(SeasDataError, match=says):
            export(awkward, tool, tmp_path / "out", split)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(awkward: Version, tmp_path: Path) -> None:
    root = awkward.workspace.root
    ended = called("export", "v0", "--to", "garak", "-o", tmp_path / "a.json", "--workspace", root)
    assert (
        ended.returncode == 0
        and f"prompts of the split test of v0 to {tmp_path / 'a.json'}, for garak." in ended.stdout
    )
