"""Pushing to a Hub on this machine with the real client: what travels, in which order, and what stays."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from seas_data.errors import SeasDataError
from seas_data.query import version as versions
from seas_data.query.version import Version
from seas_data.release import checks, publish_log
from seas_data.release.folder import checkout
from seas_data.release.hub import errors as hub_errors
from seas_data.release.hub import output
from seas_data.release.hub import plan as push_plan
from seas_data.release.hub import push as pushes
from seas_data.release.hub.plan import PushPlan
from seas_data.release.hub.push import PushRequest, PushResult, push
from seas_data.release.hub.remote import Remote
from seas_data.release.visibility import Profile
from seas_data.store import Manifest
from tests.conftest import quick
from tests.hub import Fault, Hub, Repository
from tests.hub.repository import File

pytestmark = pytest.mark.usefixtures("quick")


def pushed(root: Path, name: str, tag: str | None = None, **more: object) -> PushResult:
    return push(versions.open(root).version(name), PushRequest("org/set", tag=tag, **more))  # type: ignore[arg-type]


@pytest.mark.slow
def test_only_new_shards_of_three_versions_are_uploaded(hub: Hub, mine: Path) -> None:
    earlier: dict[str, File] = {}
    first = Counter({".gitattributes": 138})  # the Hub's own first commit
    for number in range(3):
        before = hub.repository("datasets", "org/set").received.copy() if number else Counter()
        done = pushed(mine, f"v{number}", f"1.{number}.0")
        repository = hub.repository("datasets", "org/set")
        assert repository.tags[f"1.{number}.0"] == done.commit == repository.head().id
        tree = {path: file for path, file in repository.head().tree.items() if path.startswith("tables/")}
        new = {path: file for path, file in tree.items() if path not in earlier}
        planned = {*done.plan.new, *done.plan.changed}
        assert new and {path for path in planned if path.startswith("tables/")} == set(new)
        sent = repository.received - before
        held = repository.head().tree
        assert sent == Counter({held[path].sha256 or path: held[path].size for path in planned}) + first
        earlier, first = tree, Counter()
    assert [commit.title.split(":")[0] for commit in repository.history()][:3] == [
        "v2 (1.2.0)",
        "v1 (1.1.0)",
        "v0 (1.0.0)",
    ]
    assert "+" in repository.head().title and "- responses:" in repository.head().message
    assert repository.private


def test_pushing_a_version_again_uploads_nothing(hub: Hub, mine: Path) -> None:
    first = pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    commits, sent, asked = len(repository.commits), sum(repository.received.values()), len(hub.log)
    again = pushed(mine, "v0", "1.0.0")
    assert again.plan.is_empty and again.commit == first.commit
    assert (len(repository.commits), sum(repository.received.values())) == (commits, sent)
    assert {each.method for each in hub.log[asked:]} <= {"GET", "HEAD", "POST"}
    assert not [each for each in hub.log[asked:] if each.method == "POST" and "/tag/" not in each.path]
    assert len(publish_log.read(mine)) == 1
    pushed(mine, "v0", "one")
    assert repository.tags["one"] == first.commit


def test_a_release_of_many_files_is_committed_in_parts_of_which_only_the_last_is_read(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "_CHANGES_PER_COMMIT", 8)
    done = pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    commits = repository.history()[::-1]
    assert len(commits) > 3 and commits[-1].id == done.commit == repository.tags["1.0.0"]
    for before, part in pairwise(commits[:-1]):
        new = {*part.tree} - {*before.tree}
        assert 0 < len(new) <= 8 and all(path.startswith("tables/") for path in new)
        assert "manifest.json" not in part.tree
    assert commits[1].title.endswith(f", part 1 of {len(commits) - 1}")
    assert {each.commit for each in publish_log.read(mine)} == {commit.id for commit in commits[1:]}
    assert pushed(mine, "v0", "1.0.0").plan.is_empty


@pytest.mark.slow
def test_a_push_in_parts_that_was_interrupted_continues_and_no_other_release_takes_its_place(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes, "_CHANGES_PER_COMMIT", 8)
    hub.faults.append(Fault("POST", "/commit/main", status=403, skip=1, times=9))
    with pytest.raises(SeasDataError):
        pushed(mine, "v0", "1.0.0")
    hub.faults.clear()
    repository = hub.repository("datasets", "org/set")
    (part,) = repository.history()[:-1]
    assert [each.commit for each in publish_log.read(mine)] == [part.id]
    with pytest.raises(SeasDataError, match="of another push that was interrupted"):
        push(versions.open(mine).version("v0"), PushRequest("org/set"), "gated")
    done = pushed(mine, "v0", "1.0.0")
    assert {*part.tree} - {".gitattributes"} <= {*done.plan.same}
    tree = repository.head("1.0.0").tree
    assert all(repository.received[file.sha256] == file.size for file in tree.values() if file.sha256)


@pytest.mark.slow
def test_files_and_text_of_others_are_kept(hub: Hub, mine: Path) -> None:
    theirs = "---\npretty_name: The garden\nlicense: mit\ntags:\n- roses\n---\n\n# Our garden\n\nWords of ours.\n"
    repository = Repository("datasets", "org/set", private=True)
    files = {"README.md": theirs.encode(), "notes/plan.md": b"plan", "data/ours/train-00000-of-00001.parquet": b"p"}
    repository.commit("main", "ours", "", "somebody", files=files)
    hub.repositories["datasets", "org/set"] = repository
    done = pushed(mine, "v0", "1.0.0")
    assert done.plan.unmanaged == ["data/ours/train-00000-of-00001.parquet", "notes/plan.md"]
    card = repository.content("README.md").decode()
    assert "Words of ours." in card and "pretty_name: The garden" in card and "- roses" in card
    assert "seas-data: begin" in card and "config_name: prompts" in card
    assert repository.content("notes/plan.md") == b"plan"
    assert pushed(mine, "v0").plan.is_empty
    entry = "# a table of our own\n- config_name: extra\n  data_files: extra.csv  # by hand\n"
    edited = card.replace("Words of ours.", "Other words.").replace("configs:\n", f"version: 1.10\nconfigs:\n{entry}")
    repository.commit("main", "edit", "", "somebody", files={"README.md": edited.encode(), "extra.csv": b"a\nb\n"})
    pushed(mine, "v1", "1.1.0")
    card = repository.content("README.md").decode()
    assert "Other words." in card and card.count("seas-data: begin") == 1
    assert entry in card and "version: 1.10\n" in card and "config_name: prompts" in card
    assert repository.content("extra.csv") == b"a\nb\n"


def test_managed_files_that_the_version_lacks_are_deleted_in_the_same_commit(hub: Hub, mine: Path) -> None:
    pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    old = {
        "data/prompts/train-00001-of-00002.parquet": b"old",
        f"tables/prompts/{'0' * 64}.parquet": b"old",
        "tables/prompts/mine.parquet": b"theirs",
    }
    repository.commit("main", "old", "", "owner", files=old)
    commits = len(repository.commits)
    done = pushed(mine, "v1", "1.1.0")
    assert set(list(old)[:2]) <= set(done.plan.deleted) and "tables/prompts/mine.parquet" not in done.plan.deleted
    assert len(repository.commits) == commits + 1
    tree = repository.head().tree
    assert not set(list(old)[:2]) & set(tree) and "tables/prompts/mine.parquet" in tree
    assert set(repository.head("1.0.0").tree) - set(tree) <= set(done.plan.deleted)


def test_a_dry_run_changes_nothing(hub: Hub, mine: Path) -> None:
    plan = pushed(mine, "v0", "1.0.0", dry_run=True).plan
    assert plan.new["manifest.json"] > 0 and not plan.same
    assert not hub.repositories and not publish_log.read(mine) and not (mine / "push").exists()
    pushed(mine, "v0", "1.0.0")
    commits, asked = len(hub.repository("datasets", "org/set").commits), len(hub.log)
    plan = pushed(mine, "v1", "1.1.0", dry_run=True).plan
    assert plan.same and plan.changed["README.md"] and any(line.startswith("+") for line in plan.card)
    assert len(hub.repository("datasets", "org/set").commits) == commits
    assert not [each for each in hub.log[asked:] if each.method not in ("GET", "HEAD")]


def test_a_dry_run_shows_the_release_before_the_hub_is_asked_once_and_needs_no_answer(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[int] = []

    def show(plan: PushPlan) -> None:
        shown.append(len(hub.log))
        assert plan.new["manifest.json"] > 0 and len(plan.new) == len(plan.local)

    pushed(mine, "v0", dry_run=True, show_release=show)
    assert shown == [0] and hub.log
    monkeypatch.setattr(hub_errors, "with_hub_retries", lambda call: pytest.fail("asked again"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    result = pushed(mine, "v0", "1.0.0", dry_run=True, show_release=output.print_release)
    assert result.not_asked is not None and "could not connect to 127.0.0.1" in result.not_asked
    output.print_push("v0", result, tag="1.0.0")
    printed = capsys.readouterr().out
    assert printed.index("manifest.json") < printed.index("not asked: what is new, changed or deleted")
    assert "whether 1.0.0 is free" in printed and "nothing was pushed" in printed
    told = output.push_json(result, tag="1.0.0")
    assert told["release"] == result.plan.new and told["files"] is None and told["bytes"] is None
    assert told["not_asked"] == result.not_asked


def test_a_dry_run_reports_what_the_hub_refuses(hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 20)
    with pytest.raises(SeasDataError, match="does not accept your token"):
        pushed(mine, "v0", dry_run=True)


def test_the_repository_is_gated_before_the_upload(hub: Hub, mine: Path) -> None:
    version = versions.open(mine).version("v0")
    push(version, PushRequest("org/gated", tag="1.0.0"), "gated")
    repository = hub.repository("datasets", "org/gated")
    assert repository.private and repository.gated == "manual"
    assert repository.settings_at == [(0, True, False), (0, True, "manual")]
    assert "extra_gated_prompt" in repository.content("README.md").decode()
    push(version, PushRequest("org/open", public=True), "gated")
    repository = hub.repository("datasets", "org/open")
    assert repository.settings_at == [(0, True, False), (0, True, "manual"), (1, False, "manual")]


def test_public_requires_the_option_and_confirmation(hub: Hub, mine: Path) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(SeasDataError, match="nothing was pushed"):
        pushed(mine, "v0", public=True, confirm=no)
    assert not hub.repositories and "Everybody" in asked[0]
    pushed(mine, "v0", public=True, confirm=lambda _: True)
    repository = hub.repository("datasets", "org/set")
    assert repository.settings_at == [(0, True, False), (1, False, False)]
    with pytest.raises(SeasDataError, match="org/set is public; add --public"):
        pushed(mine, "v1")
    assert len(repository.commits) == 2


def test_a_repository_holds_one_profile(hub: Hub, mine: Path) -> None:
    version = versions.open(mine).version("v0")
    push(version, PushRequest("org/set"), "gated")
    with pytest.raises(SeasDataError, match="its history would expose"):
        push(version, PushRequest("org/set", public=True), "public")


def test_tags_are_not_moved(hub: Hub, mine: Path) -> None:
    pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    commits = len(repository.commits)
    with pytest.raises(SeasDataError, match=r"the tag 1\.0\.0 of org/set is on another version"):
        pushed(mine, "v1", "1.0.0")
    assert len(repository.commits) == commits


@pytest.mark.slow
def test_a_concurrent_change_stops_the_push_with_a_message(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    upload = Remote.upload

    def overtaken(self: Remote, additions: object) -> None:
        upload(self, additions)  # type: ignore[arg-type]
        repository.commit("main", "a note", "", "somebody", files={"notes.md": b"note"})

    monkeypatch.setattr(Remote, "upload", overtaken)
    with pytest.raises(SeasDataError, match=r"was changed during the push .*by somebody.*rerun the command"):
        pushed(mine, "v1", "1.1.0")
    assert "1.1.0" not in repository.tags and repository.head().title == "a note"
    monkeypatch.setattr(Remote, "upload", upload)
    sent = sum(repository.received.values())
    done = pushed(mine, "v1", "1.1.0")
    assert repository.content("notes.md") == b"note"
    small = sum(size for path, size in (done.plan.new | done.plan.changed).items() if not path.endswith("parquet"))
    assert sum(repository.received.values()) - sent == small, "large files had arrived"


def test_automatic_approval_does_not_count_as_a_gate(hub: Hub, mine: Path) -> None:
    repository = Repository("datasets", "org/set", private=True, gated="auto")
    hub.repositories["datasets", "org/set"] = repository
    push(versions.open(mine).version("v0"), PushRequest("org/set"), "gated")
    assert repository.settings_at[-1] == (0, True, "manual")


def test_a_repository_made_public_during_creation_gets_no_upload(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(self: Remote) -> None:
        hub.repositories["datasets", "org/set"] = Repository("datasets", "org/set")

    monkeypatch.setattr(Remote, "create", overtaken)
    with pytest.raises(SeasDataError, match="org/set is public; add --public"):
        pushed(mine, "v0")
    assert len(hub.repository("datasets", "org/set").commits) == 1


def test_a_repository_made_public_during_planning_gets_no_upload(hub: Hub, mine: Path) -> None:
    pushed(mine, "v0")
    repository = hub.repository("datasets", "org/set")
    make = push_plan.make_plan

    def overtaken(*given: Any) -> PushPlan:
        repository.set(False, None)
        return make(*given)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SeasDataError, match="org/set is public; add --public"):
        patch.setattr(push_plan, "make_plan", overtaken)
        pushed(mine, "v1")
    assert len(repository.commits) == 2


def test_a_repository_filled_during_creation_is_not_overwritten(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(self: Remote) -> None:
        theirs = Repository("datasets", "org/set", private=True)
        theirs.commit("main", "theirs", "", "somebody", files={"README.md": b"# Theirs"})
        hub.repositories["datasets", "org/set"] = theirs

    monkeypatch.setattr(Remote, "create", overtaken)
    with pytest.raises(SeasDataError, match=r"was changed in the meantime; rerun the command"):
        pushed(mine, "v0")
    assert hub.repository("datasets", "org/set").content("README.md") == b"# Theirs"


def test_a_repository_changed_during_gating_is_not_overwritten(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Repository("datasets", "org/set", private=True)
    theirs.commit("main", "theirs", "", "somebody", files={"README.md": b"# Theirs"})
    hub.repositories["datasets", "org/set"] = theirs
    gate = Remote.set_gated

    def overtaken(self: Remote) -> None:
        theirs.commit("main", "more", "", "somebody", files={"README.md": b"# Theirs, and more"})
        gate(self)

    monkeypatch.setattr(Remote, "set_gated", overtaken)
    with pytest.raises(SeasDataError, match="was changed in the meantime"):
        push(versions.open(mine).version("v0"), PushRequest("org/set"), "gated")
    assert theirs.content("README.md") == b"# Theirs, and more"


@pytest.mark.parametrize(
    "place", quick(1, ["croissant.json", "views.sql", "data/prompts/train-00000-of-00001.parquet"])
)
def test_unmanaged_files_with_managed_names_are_not_replaced(hub: Hub, mine: Path, place: str) -> None:
    repository = Repository("datasets", "org/set", private=True)
    repository.commit("main", "theirs", "", "somebody", files={"README.md": b"# Theirs", place: b"theirs"})
    hub.repositories["datasets", "org/set"] = repository
    with pytest.raises(SeasDataError, match=rf"org/set has a file {place}, which a push would replace, but no card of"):
        pushed(mine, "v0")
    assert repository.content(place) == b"theirs"


def test_an_invalid_manifest_stops_a_push(hub: Hub, mine: Path) -> None:
    push(versions.open(mine).version("v0"), PushRequest("org/set"), "gated")
    repository = hub.repository("datasets", "org/set")
    repository.commit("main", "edit", "", "somebody", files={"manifest.json": b'{"name": "an extension"}'})
    with pytest.raises(SeasDataError, match=r"manifest\.json of org/set .* is not a manifest of seas-data"):
        pushed(mine, "v0", public=True)
    repository.commit("main", "edit", "", "somebody", deleted=["manifest.json"])
    with pytest.raises(SeasDataError, match="org/set holds the gated profile"):
        pushed(mine, "v0", public=True)


def test_messages_escape_what_they_quote_from_the_repository(hub: Hub, mine: Path) -> None:
    evil = "\x1b]0;x\x07\u202e"
    for text in (f"<!-- seas-data: begin v0 {evil} x -->\n\n<!-- seas-data: end -->\n", f"---\na: b: {evil}\n---\n"):
        repository = Repository("datasets", "org/set", private=True)
        repository.commit("main", evil, "", evil, files={"README.md": text.encode(), evil: b"x"})
        hub.repositories["datasets", "org/set"] = repository
        with pytest.raises(SeasDataError) as raised:
            pushed(mine, "v0")
        assert not {"\x1b", "\x07", "\u202e"} & set(str(raised.value))


@pytest.mark.slow
def test_pictures_of_an_earlier_card_are_deleted(hub: Hub, mine: Path) -> None:
    pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    files = {"assets/course.svg": b"old", "assets/theirs.svg": b"theirs"}
    repository.commit("main", "x", "", "x", files=files)
    done = pushed(mine, "v0")
    drawn = "assets/course.svg" in done.plan.local
    assert "assets/course.svg" in (done.plan.changed if drawn else done.plan.deleted)
    assert done.plan.unmanaged == ["assets/theirs.svg"]


@pytest.mark.parametrize("tag", ["a b", "main", "v3", "0123abc", "x..y", ""])
def test_an_invalid_tag_is_refused_before_any_request(hub: Hub, mine: Path, tag: str) -> None:
    with pytest.raises(SeasDataError, match="cannot be a tag"):
        pushed(mine, "v0", tag)
    assert not hub.log


def test_only_checks_can_be_waived_and_only_failed_ones_are_listed(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SeasDataError, match=r"there is no check license; .*licences"):
        pushed(mine, "v0", waivers={"license": "mine"})
    told = []
    results = [
        checks.CheckResult("licences", False, ("mine",), "none"),
        checks.CheckResult("secrets", True, (), "none"),
    ]
    monkeypatch.setattr(checks, "run", lambda *_, **__: results)
    write = pushes.checkout

    def kept(version: Version, folder: Path, profile: Profile, allowed: dict[str, str], *, linked: bool) -> Manifest:
        told.append(allowed)
        return write(version, folder, profile, allowed, linked=linked)

    monkeypatch.setattr(pushes, "checkout", kept)
    pushed(mine, "v0", waivers={"licences": "they are mine", "secrets": "whatever"})
    assert told == [{"licences": "they are mine"}]
    assert publish_log.read(mine)[-1].allowed == {"licences": "they are mine"}


@pytest.mark.slow
def test_a_linked_release_is_identical_and_takes_no_space(mine: Path, tmp_path: Path) -> None:
    version = versions.open(mine).version("v0")
    copied = checkout(version, tmp_path / "copied", "gated")
    linked = checkout(version, mine / "push" / "release", "gated", linked=True)
    assert linked == copied
    paths = list((mine / "push").rglob("tables/*/*.parquet"))
    assert paths and all(path.stat().st_nlink == 2 for path in paths)
    for path in (tmp_path / "copied").rglob("*.*"):
        assert path.read_bytes() == (mine / "push" / "release" / path.relative_to(tmp_path / "copied")).read_bytes()


@pytest.mark.slow
def test_the_log_records_the_commit_of_an_existing_tag(hub: Hub, mine: Path) -> None:
    first = pushed(mine, "v0", "1.0.0")
    repository = hub.repository("datasets", "org/set")
    card = repository.content("README.md").replace(b"<!-- seas-data: end -->", b"x\n\n<!-- seas-data: end -->")
    repository.commit("main", "edit", "", "somebody", files={"README.md": card})
    again = pushed(mine, "v0", "1.0.0")
    assert again.commit == repository.head().id != first.commit
    assert repository.tags == {"1.0.0": first.commit}
    known = [(each.tag, each.commit) for each in publish_log.read(mine)]
    assert sorted(known, key=str) == sorted([("1.0.0", first.commit), (None, again.commit)], key=str)
