"""A local Hub that the real client in this process speaks to, and workspaces of one's own to push from."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import pytest
from huggingface_hub import close_session
from huggingface_hub.utils import _http

from seas_data.query.version import Version
from seas_data.query.version import open as open_versions
from seas_data.release import checks
from seas_data.release import folder as folders
from seas_data.release.folder import checkout
from seas_data.release.hub import errors as hub_errors
from seas_data.release.hub import push as pushes
from seas_data.release.privacy import pii
from seas_data.release.visibility import Profile
from seas_data.retry import Backoff
from seas_data.store import Manifest
from tests.conftest import shared_workspace
from tests.hub import Hub, lead_client


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub, to which the client is led as by ``HF_ENDPOINT`` and ``HF_TOKEN``; nobody waits between tries."""
    with Hub() as running:
        running.page = 10  # so that every listing has several pages
        lead_client(running, monkeypatch)
        monkeypatch.setattr(hub_errors, "ATTEMPTS", 4)
        monkeypatch.setattr(hub_errors, "BACKOFF", Backoff(first=0.0, longest=0.0))
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda _: None, time=time.time))
        close_session()  # the client keeps the proxies of the environment that it was made in
        yield running
        close_session()


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of the generated workspace that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "mine"))


@pytest.fixture
def without_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check out without the card, which takes longest."""
    monkeypatch.setattr(folders.card, "dataset_files", lambda *_: {"README.md": "a card"})


@pytest.fixture(scope="session")
def scanned(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated workspace with its texts scanned, so that checks of its copies need not scan them. Read only."""

    def scan(root: Path) -> None:
        shutil.copytree(made, root)
        pii.find_in_release(open_versions(root).version(), "gated")

    return shared_workspace(tmp_path_factory, "scanned", scan)


@pytest.fixture(scope="session")
def public(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public release of the generated workspace's newest version. Tests read it and change nothing."""
    return shared_workspace(tmp_path_factory, "public-release", lambda folder: _release(made, folder, "public"))


@pytest.fixture(scope="session")
def gated(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gated release of the same version."""
    return shared_workspace(tmp_path_factory, "gated-release", lambda folder: _release(made, folder, "gated"))


def _release(root: Path, folder: Path, profile: Profile) -> None:
    checkout(open_versions(root).version(), folder, profile)


class Render(Protocol):
    """What ``checkout`` is to a push."""

    def __call__(
        self,
        version: Version,
        folder: Path,
        profile: Profile,
        allowed: dict[str, str] | None = None,
        *,
        linked: bool = False,
    ) -> Manifest: ...


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """A ``checkout`` that renders each release once a session: they are the same bytes every time."""
    kept: dict[tuple[str, Profile], tuple[Path, Manifest]] = {}

    def copy(
        version: Version,
        folder: Path,
        profile: Profile,
        allowed: dict[str, str] | None = None,
        *,
        linked: bool = False,
    ) -> Manifest:
        key = (version.digest, profile)
        if key not in kept:
            place = tmp_path_factory.mktemp("rendered") / "release"
            kept[key] = (place, checkout(version, place, profile))
        shutil.copytree(kept[key][0], folder)
        return kept[key][1]

    return copy


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, rendered: Render) -> None:
    """Push without the checks, and without rendering what was rendered before: both have tests of their own."""
    monkeypatch.setattr(pushes, "checkout", rendered)
    monkeypatch.setattr(checks, "run", lambda *_, **__: [])
