"""The release checks: each planted defect fails its own check only, and a sound version passes all checks."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from seas_data.cli import app
from seas_data.errors import SeasDataError
from seas_data.query.version import open as open_versions
from seas_data.release import card as cards
from seas_data.release import checks, licences
from seas_data.release.checks import profile as profile_check
from seas_data.release.checks.check import CheckResult, Finding
from seas_data.release.privacy import pii
from seas_data.release.visibility import Profile
from tests.conftest import CHECKOUT, quick
from tests.release.checks.defects import (
    APART,
    DEFECTS,
    KEY,
    MORE,
    Copy,
    damaged_shard,
    holdout_text_in_train,
    idle,
    in_a_label,
    in_a_prompt,
    lost_split,
    one,
    put,
)

_SCANNING = ("personal-data", "secrets")
_WORST = (
    *("a leaked group", "a holdout row in train", "an e-mail address", "an API key"),
    *("response text in the public profile", "unparsed verdicts over the limit", "an unknown licence"),
)


@pytest.fixture
def copy(scanned: Path, tmp_path: Path) -> Copy:
    shutil.copytree(scanned, tmp_path / "ws")
    return Copy(tmp_path / "ws")


@pytest.fixture(scope="module")
def sound_card(scanned: Path) -> str:
    """The card of the version before anything is planted in it."""
    return cards.dataset_card(open_versions(scanned).version())


def failed(copy: Copy, **how: Any) -> dict[str, CheckResult]:
    """Return the checks that fail, of all."""
    return {each.name: each for each in checks.run(copy.version, **how) if not each.passed}


def find(copy: Copy, *names: str, profile: Profile = "public", card: str | None = None) -> dict[str, Finding]:
    """Return those of the named checks that fail, without running the others."""
    found = {}
    for name in names:
        check = checks.CHECKS.load(name)
        found[name] = check.find(checks.Candidate(copy.version, profile, check.queries, card))
    return {name: each for name, each in found.items() if each.ids}


def test_a_sound_version_passes_every_check(copy: Copy, sound_card: str) -> None:
    """So does its gated profile: see ``test_the_exit_status_states_the_result``."""
    found = checks.run(copy.version, "public", sound_card)
    assert [each.name for each in found] == checks.names()
    assert [each.name for each in found if not each.passed] == []
    assert not any(each.ids for each in found)


@pytest.mark.parametrize(
    "defect", quick(len(_WORST), [*_WORST, *(each for each in DEFECTS | MORE if each not in _WORST)])
)
def test_a_defect_is_found_by_its_own_check(defect: str, copy: Copy) -> None:
    name, plant = (DEFECTS | MORE)[defect]
    plant(copy)
    found = find(copy, name)[name]
    assert found.ids and found.message


@pytest.mark.slow
def test_several_defects_are_each_stopped_by_their_own_check_alone(copy: Copy) -> None:
    """A check that found nothing finds its own defect, and still no more than that once all defects are there."""
    expected = {}
    for name, plant in APART:
        assert find(copy, name) == {}
        plant(copy)
        expected[name] = find(copy, name)[name].ids
    found = failed(copy)
    assert {name: each.ids for name, each in found.items() if name != "contents"} == expected
    for name in expected:
        with pytest.raises(SeasDataError, match=name):
            checks.require_passed([found[name]], {})


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS | MORE)
def test_a_defect_is_stopped_by_its_own_check_alone(defect: str, copy: Copy) -> None:
    name, plant = (DEFECTS | MORE)[defect]
    plant(copy)
    found = failed(copy)
    assert set(found) - {"contents"} == {name}  # a change of a row in place also fails contents
    assert found[name].ids and found[name].message
    with pytest.raises(SeasDataError, match=name):
        checks.require_passed(list(found.values()), {})


@pytest.mark.parametrize(
    ("table", "column", "change"),
    quick(
        2,
        [
            ("prompts", "text", "x"),
            ("prompts", "text_digest", "0" * 24),
            ("prompts", "source_id", "other"),
            ("attacks", "text", "x"),
            ("responses", "sample", 7),
            ("pairs", "chosen_id", "0" * 24),
        ],
    ),
)
def test_a_row_that_changed_before_it_was_stored_fails_check_and_verify(
    copy: Copy, table: str, column: str, change: object
) -> None:
    key = {"prompts": "prompt_id", "attacks": "prompt_id", "responses": "response_id", "pairs": "pair_id"}[table]
    condition = "where model is null" if table == "prompts" else "where text is not null" if table == "attacks" else ""
    row = one(copy, f"select {key} from {table} {condition} order by all")
    copy.rewrite(table, put(column, change, pl.col(key) == row))
    assert find(copy, "contents")["contents"].ids == (row,)
    answer = CliRunner().invoke(app, ["verify", "--workspace", str(copy.root)])
    assert answer.exit_code == 1
    assert isinstance(answer.exception, SeasDataError)
    assert f"shards/{table}/" in str(answer.exception)
    assert f"1 rows differ from their own ids or digests (first {row})" in str(answer.exception)


@pytest.mark.slow
def test_models_of_earlier_builds_count_in_a_build_without_a_loop(copy: Copy) -> None:
    copy.without_loop()
    assert find(copy, "schemas", "references", "licences", "profile") == {}
    found = licences.collect_parts(copy.version, "public")
    assert sorted(part.name for part in found if part.kind == "model") == ["guard", "red", "target"]


def test_a_replaced_model_counts_as_well_as_its_replacement(copy: Copy) -> None:
    copy.swap_red_team("qwen-research")
    parts = licences.collect_parts(copy.version, "public")
    assert {part.licence for part in parts if part.name == "red"} == {"Apache-2.0", "qwen-research"}


@pytest.mark.slow
def test_a_stale_card_is_found(copy: Copy, sound_card: str) -> None:
    """``test_a_sound_version_passes_every_check`` shows that it is current before the change."""
    copy.rewrite("relabels", put("type", "Word Play", pl.lit(True)))
    assert find(copy, "card", card=sound_card)["card"].ids


@pytest.mark.slow
def test_a_stale_card_is_stopped_by_the_card_check_alone(copy: Copy) -> None:
    card = cards.dataset_card(copy.version)
    assert failed(copy, card=card) == {}
    copy.rewrite("relabels", put("type", "Word Play", pl.lit(True)))
    found = failed(copy, card=card)
    assert set(found) == {"card"}
    assert found["card"].ids


@pytest.mark.slow
def test_the_card_check_expects_only_waived_checks_that_fail(copy: Copy) -> None:
    waivers = {"secrets": "invented keys", "splits": "in case they fail"}
    in_a_label(KEY)(copy)
    card = cards.dataset_card(copy.version, "public", {"secrets": "invented keys"})
    assert set(failed(copy, card=card)) == {"secrets", "card"}
    assert set(failed(copy, card=card, waivers=waivers)) == {"secrets"}
    both = cards.dataset_card(copy.version, "public", waivers)
    assert "card" in failed(copy, card=both, waivers=waivers), "it says of a check that passed that it failed"
    assert checks.select_waived(checks.run(copy.version), waivers) == {"secrets": "invented keys"}


@pytest.mark.slow
def test_the_commands_take_waivers(copy: Copy, tmp_path: Path) -> None:
    in_a_label(KEY)(copy)
    page, at = str(tmp_path / "README.md"), ["--workspace", str(copy.root)]
    overruled = ["--allow", "secrets", "--because", "invented keys", "--allow", "splits", "--because", "in case"]
    run = CliRunner().invoke
    assert run(app, ["card", "-o", page, *overruled, *at]).exit_code == 0
    assert "in case" not in Path(page).read_text(encoding="utf-8")
    assert run(app, ["card", "--check", "-o", page, *overruled, *at]).exit_code == 0
    assert run(app, ["card", "--check", "-o", page, *at]).exit_code == 1
    assert run(app, ["check", "--card", page, *overruled, *at]).exit_code == 0
    assert run(app, ["check", "--card", page, *at]).exit_code == 1
    public = ["--model", "R1", "--allow", "red-team-model", "--because", "it is tame"]
    assert "it is tame" in run(app, ["card", *public, *at]).output
    unknown = run(app, ["card", "--allow", "secret", "--because", "a slip", *at])
    assert "there is no check secret; choose one of: manifest, schemas" in str(unknown.exception)


def test_a_public_profile_without_redaction_fails(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_check, "redact", lambda table, frame, profile: frame)
    found = find(copy, "contents", "licences", "profile")
    assert set(found) == {"profile"}
    answered = copy.version.select("select response_id from responses where text is not null")["response_id"]
    assert set(answered) <= set(found["profile"].ids)
    holdout = copy.version.select("select prompt_id from prompts where role = 'holdout'")["prompt_id"]
    assert set(holdout) <= set(found["profile"].ids)


@pytest.mark.slow
def test_a_row_dropped_because_of_a_later_test_is_not_a_leak(copy: Copy) -> None:
    """It keeps its split, and is trained on no more."""
    held = one(copy, "select prompt_id from prompts where role = 'holdout' and kind = 'harmless' order by all")
    row = idle(copy)
    holdout_text_in_train(copy)
    gone = {"prompt_id": row, "version": "v2", "step": "contamination", "decision": "drop", "reason": "contaminated"}
    drop = pl.DataFrame([gone | {"witness_id": held} | dict.fromkeys(("score", "threshold", "detail"))])
    copy.rewrite("decisions", lambda frame: pl.concat([frame, drop.select(frame.columns)], how="vertical_relaxed"))
    assert not find(copy, "splits", "held-out", "witnesses", "references")


@pytest.mark.slow
@pytest.mark.parametrize("reason", ["manual", "contaminated"])
def test_a_witness_that_was_dropped_later_still_counts(reason: str, copy: Copy) -> None:
    witness = one(copy, "select witness_id from dropped where reason = 'near_duplicate' order by all")
    gone = {"prompt_id": witness, "version": "v2", "step": "overrides", "decision": "drop", "reason": reason}
    row = pl.DataFrame([gone | dict.fromkeys(("witness_id", "score", "threshold", "detail"))])
    if reason == "contaminated":
        held = one(copy, "select prompt_id from prompts where role = 'holdout' order by all")
        row = row.with_columns(witness_id=pl.lit(held))
    copy.rewrite("decisions", lambda frame: pl.concat([frame, row.select(frame.columns)], how="vertical_relaxed"))
    assert not find(copy, "witnesses")


@pytest.mark.slow
def test_all_failing_ids_are_reported_and_no_text(copy: Copy) -> None:
    in_a_prompt("ada@orchard-garden.org")(copy)
    version = copy.version
    named = one(copy, "select prompt_id from prompts where text like '%orchard-garden%'")
    found = find(copy, "personal-data")["personal-data"]
    assert found.ids == (named,)
    assert "orchard" not in found.message
    answer = CliRunner().invoke(app, ["check", "--workspace", str(copy.root)])
    assert (answer.exit_code, named in answer.output, "orchard" in answer.output) == (1, True, False)
    assert not any(b"orchard" in path.read_bytes() for path in (version.workspace.root / "scans").rglob("*.scan"))


@pytest.mark.slow
def test_a_second_check_reads_the_scans_of_the_first(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_prompt(KEY)(copy)
    shutil.rmtree(copy.root / "scans")
    first = find(copy, "secrets")
    scanned: list[int] = []
    scan = pii.scan
    monkeypatch.setattr(pii, "scan", lambda rows: scanned.append(rows.height) or scan(rows))
    assert find(copy, "secrets") == first
    assert len(scanned) == 2  # the recipe's keys, and the recipe: not the rows of a table
    before = len(scanned)
    find(copy, "secrets", profile="gated")
    responses = copy.version.select("select count(distinct text) from responses").item()  # each text is scanned once
    assert responses > 100 and sum(scanned[before:]) > responses


@pytest.mark.slow
def test_damaged_scans_are_named_and_made_again(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    in_a_prompt(KEY)(copy)
    expected = pii.find_in_release(copy.version, "public")
    scans = sorted((copy.root / "scans").rglob("*.scan"))[:20]
    whole = [path.read_bytes() for path in scans]
    for number, (path, before) in enumerate(zip(scans, whole, strict=True)):
        path.unlink()
        if number % 4 == 3:
            path.mkdir()
        else:
            path.write_bytes((b"", b"garbage" * 40, before[:-9] + b"?" + before[-8:])[number % 4])
    capsys.readouterr()
    assert pii.find_in_release(copy.version, "public").equals(expected)
    said = capsys.readouterr().err
    restored = {number for number, path in enumerate(scans) if path.is_file() and path.read_bytes() == whole[number]}
    assert {number % 4 for number in restored} == {0, 1, 2}, "of each damage, what this profile reads is scanned again"
    for number in restored:
        assert f"{scans[number]}" in said and "the texts are scanned again" in said


@pytest.mark.slow
def test_a_read_only_workspace_is_checked_without_its_cache(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_prompt(KEY)(copy)
    expected = find(copy, *_SCANNING)
    shutil.rmtree(copy.root / "scans")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("seas_data.store.files.os.fsync", refuse)
    assert find(copy, *_SCANNING) == expected != {}
    assert not (copy.root / "scans").exists()


@pytest.mark.slow
def test_what_a_profile_withholds_is_not_scanned_against_it(copy: Copy) -> None:
    row = one(copy, "select response_id from responses where text is not null order by all")
    copy.rewrite("responses", put("text", f"The key is {KEY}.", pl.col("response_id") == row))
    assert find(copy, *_SCANNING) == {}
    assert find(copy, *_SCANNING, profile="gated")["secrets"].ids == (row,)


@pytest.mark.slow
def test_the_exit_status_states_the_result(copy: Copy) -> None:
    run = CliRunner().invoke
    sound = run(app, ["check", "v2", "--profile", "gated", "--json", "--workspace", str(copy.root)])
    assert sound.exit_code == 0
    told = json.loads(sound.output)
    assert [each["name"] for each in told["checks"]] == checks.names()
    assert all(each["passed"] for each in told["checks"])
    lost_split(copy)
    faulty = run(app, ["check", "--profile", "gated", "--workspace", str(copy.root)])
    assert faulty.exit_code == 1
    assert "splits: 1 fail" in faulty.output


@pytest.mark.slow
def test_a_waiver_needs_a_reason(copy: Copy) -> None:
    in_a_label(KEY)(copy)
    lost_split(copy)
    found = [CheckResult(name, False, each.ids, each.message) for name, each in find(copy, "secrets", "splits").items()]
    for allowed in ({}, {"secrets": "an invented key"}, {"secrets": " ", "splits": "as it is"}):
        with pytest.raises(SeasDataError, match="fail"):
            checks.require_passed(found, allowed)
    checks.require_passed(found, {"secrets": "an invented key", "splits": "as it is"})


def test_integrity_checks_cannot_be_waived(copy: Copy) -> None:
    damaged_shard(copy)
    found = checks.run(copy.version)
    assert [each.name for each in found] == ["manifest"]
    with pytest.raises(SeasDataError, match="cannot be waived"):
        checks.require_passed(found, dict.fromkeys(checks.names(), "as it is"))


def test_an_unknown_profile_is_refused(made: Path) -> None:
    with pytest.raises(SeasDataError, match="public or gated"):
        checks.run(open_versions(made).version(), "secret")


def test_the_docs_list_every_check() -> None:
    text = (CHECKOUT / "docs" / "release.md").read_text(encoding="utf-8")
    assert checks.markdown_table() in text
