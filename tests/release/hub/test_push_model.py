"""Pushing models: what of their folder travels, and who may see a red team."""

import json
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.query import version as versions
from seas_data.query.version import Version
from seas_data.release import publish_log
from seas_data.release.hub.push import PushRequest
from seas_data.release.hub.push_model import push_model
from tests.hub import Hub


@pytest.fixture
def version(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """A version whose models R2 and T2 have files, as a training leaves them."""
    found = versions.open(mine).version()
    known = dict(found.select("select model, digest from checkpoints").iter_rows())
    for name in ("R2", "T2"):
        folder = mine / "models" / name
        (folder / "state").mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(name.encode() * 100)
        (folder / "optimizer.pt").write_bytes(b"pickled")
        (folder / "state" / "random.pt").write_bytes(b"pickled")
        (folder / "training.json").write_text(json.dumps({"settings": {"chat_template": "/home/ada/base.jinja"}}))
    monkeypatch.setattr(checkpoint, "compute_digest", lambda folder: known[folder.name])
    return found


@pytest.mark.slow
def test_a_red_team_is_always_gated_and_public_only_with_a_reason(hub: Hub, version: Version) -> None:
    with pytest.raises(SeasDataError, match=r"R2 is a red team.*--allow red-team-model"):
        push_model(version, "R2", PushRequest("org/red", public=True))
    assert not hub.repositories
    push_model(version, "R2", PushRequest("org/red", tag="1.0.0"))
    repository = hub.repository("models", "org/red")
    assert repository.settings_at == [(0, True, False), (0, True, "manual")]
    push_model(version, "R2", PushRequest("org/open", public=True, waivers={"red-team-model": "a study of it"}))
    assert hub.repository("models", "org/open").settings_at[-1] == (1, False, "manual")
    assert [each.kind for each in publish_log.read(version.workspace.root)] == ["model", "model"]


@pytest.mark.slow
def test_a_red_team_is_not_made_public_behind_a_target(hub: Hub, version: Version) -> None:
    push_model(version, "R2", PushRequest("org/model"))
    repository = hub.repository("models", "org/model")
    with pytest.raises(SeasDataError, match="org/model holds the model R2, which its history would expose"):
        push_model(version, "T2", PushRequest("org/model", public=True))
    repository.commit("main", "no card", "", "somebody", deleted=["README.md"])
    with pytest.raises(SeasDataError, match=r"org/model has a file config\.json, .* but no card of an earlier push"):
        push_model(version, "T2", PushRequest("org/model", public=True))
    assert repository.private and len(repository.commits) == 3


@pytest.mark.slow
def test_the_reason_for_a_public_red_team_is_in_the_card_and_the_log(hub: Hub, version: Version) -> None:
    push_model(version, "R2", PushRequest("org/red", public=True, waivers={"red-team-model": "a study of it"}))
    assert "a study of it" in hub.repository("models", "org/red").content("README.md").decode()
    assert publish_log.read(version.workspace.root)[-1].allowed == {"red-team-model": "a study of it"}
    with pytest.raises(SeasDataError, match="models have no check unparsed; choose one of: red-team-model, licences"):
        push_model(version, "T2", PushRequest("org/target", waivers={"unparsed": "x"}))
    push_model(version, "T2", PushRequest("org/target", waivers={"red-team-model": "not one"}))
    assert "not one" not in hub.repository("models", "org/target").content("README.md").decode()


@pytest.mark.slow
def test_a_base_model_without_a_licence_stops_a_push(hub: Hub, version: Version) -> None:
    recipe = json.loads(json.dumps(version.manifest.recipe))
    for model in recipe["models"].values():
        model.pop("licence", None)
    bare = Version(version.workspace, version.manifest.model_copy(update={"recipe": recipe}))
    with pytest.raises(SeasDataError, match="no single licence is known for the base model of T2"):
        push_model(bare, "T2", PushRequest("org/target"))
    assert not hub.repositories
    push_model(bare, "T2", PushRequest("org/target", waivers={"licences": "it is ours"}))
    assert "it is ours" in hub.repository("models", "org/target").content("README.md").decode()


def test_only_the_checkpoint_its_card_and_its_settings_are_uploaded(hub: Hub, version: Version) -> None:
    before = sorted(path for path in version.workspace.root.rglob("*") if path.is_file())
    push_model(version, "T2", PushRequest("org/target"))
    repository = hub.repository("models", "org/target")
    assert repository.private and not repository.gated
    assert set(repository.head().tree) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "training.json",
    }
    assert b"/home/ada" not in repository.content("training.json")
    added = {path.name for path in version.workspace.root.rglob("*") if path.is_file()} - {path.name for path in before}
    assert added <= {"published.json", "push.lock"}


@pytest.mark.slow
def test_stale_weights_are_deleted_and_tags_are_not_moved(hub: Hub, version: Version) -> None:
    push_model(version, "T2", PushRequest("org/target", tag="1.0.0"))
    repository = hub.repository("models", "org/target")
    assert push_model(version, "T2", PushRequest("org/target", tag="1.0.0")).plan.is_empty
    files = {"model-00001-of-00002.safetensors": b"old", "merges.txt": b"old", "eval.md": b"x"}
    repository.commit("main", "x", "", "owner", files=files)
    done = push_model(version, "T2", PushRequest("org/target", tag="1.0.0"))
    assert (
        done.plan.deleted == ["merges.txt", "model-00001-of-00002.safetensors"] and "eval.md" in repository.head().tree
    )
    (version.workspace.root / "models" / "T2" / "model.safetensors").write_bytes(b"other weights")
    commits = len(repository.commits)
    with pytest.raises(SeasDataError, match=r"the tag 1\.0\.0 of org/target is on another version"):
        push_model(version, "T2", PushRequest("org/target", tag="1.0.0"))
    assert len(repository.commits) == commits


def test_a_model_that_changed_since_training_is_refused(
    hub: Hub, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SeasDataError, match="no files of a model R9"):
        push_model(version, "R9", PushRequest("org/target"))
    monkeypatch.setattr(checkpoint, "compute_digest", lambda folder: "changed")
    with pytest.raises(SeasDataError, match="has changed since T2 of v2 was trained"):
        push_model(version, "T2", PushRequest("org/target"))
    assert not hub.repositories
