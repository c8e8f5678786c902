"""Pushing to a Hub on this machine with the real client."""

from pathlib import Path

from seas_data import version as versions
from seas_data.release.push import Wanted, push
from tests.hub import Hub


def test_a_version_is_pushed_whole(hub: Hub, mine: Path) -> None:
    pushed = push(versions.open(mine).version("v0"), Wanted("org/set", tag="1.0.0"))
    repository = hub.repository("datasets", "org/set")
    assert repository.private
    assert repository.tags["1.0.0"] == pushed.commit == repository.head().id
    assert {"README.md", "manifest.json", "views.sql"} <= set(repository.head().tree)
