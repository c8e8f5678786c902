"""The commands of a release, as a person types them: what goes together, and what is said."""

import io
import json
import sys
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.hub import push as pushes
from seas_data.release.hub.push import PushRequest, PushResult
from seas_data.release.visibility import Profile
from tests.program import called


@pytest.mark.slow
def test_a_card_is_written_with_the_pictures_that_it_shows(made: Path, tmp_path: Path) -> None:
    place = tmp_path / "out" / "README.md"
    ended = called("card", "-o", place, "--workspace", made)
    assert ended.returncode == 0, ended.stderr
    shown = [line.partition("](")[2].rstrip(")") for line in place.read_text().splitlines() if line.startswith("![")]
    assert shown and all((place.parent / picture).read_text().startswith("<svg") for picture in shown)
    assert called("card", "--check", "-o", place, "--workspace", made).returncode == 0


@pytest.mark.slow
def test_a_card_as_json_is_one_document(made: Path) -> None:
    told = json.loads(called("card", "v1", "--json", "--workspace", made).stdout)
    assert told["version"] == "v1" and told["path"] is None and "seas-data: begin v1 public" in told["card"]


@pytest.mark.parametrize("command", [("card", "v1"), ("push", "v1", "org/set")])
def test_a_model_has_no_profile(made: Path, command: tuple[str, ...]) -> None:
    ended = called(*command, "--model", "T1", "--profile", "gated", "--workspace", made)
    assert ended.returncode == 2 and "remove --profile or --model" in ended.stderr


def test_a_card_that_is_not_text_is_named_in_the_message(made: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    ended = called("check", "--card", tmp_path / "README.md", "--workspace", made)
    assert ended.returncode == 2 and "README.md" in ended.stderr and "UTF-8" in ended.stderr


def test_checks_of_a_model_can_be_waived_in_its_card(made: Path) -> None:
    allowed = ("--allow", "red-team-model", "--because", "a study of it")
    ended = called("card", "v1", "--model", "R1", *allowed, "--workspace", made)
    assert "a study of it" in ended.stdout
    ended = called("card", "v1", "--model", "R1", "--allow", "secrets", "--because", "x", "--workspace", made)
    assert ended.returncode == 2 and "models have no check secrets" in ended.stderr


def test_a_confirmation_is_not_printed_to_standard_output(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    wanted: list[PushRequest] = []

    def asked(version: Version, given: PushRequest, profile: Profile) -> PushResult:
        wanted.append(given)
        raise SeasDataError("enough")

    monkeypatch.setattr(pushes, "push", asked)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    called("push", "v1", "org/set", "--public", "--json", "--workspace", made)
    assert wanted[0].confirm is not None and wanted[0].confirm("Make it public?")
    captured = capsys.readouterr()
    assert captured.out == "" and "Make it public?" in captured.err
