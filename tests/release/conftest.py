"""A local Hub that the real client in this process speaks to, workspaces of one's own to push from, and releases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from seas_data.release import hub as sentences
from seas_data.release.profile import Profile
from tests.hub import Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub, to which ``HF_ENDPOINT`` and a token lead; waiting between tries takes no time."""
    with Hub() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(sentences, "WAITS", (0.0, 0.0, 0.0))
        close_session()  # the client keeps the proxies of the environment that it was made in
        yield running
        close_session()


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of the generated workspace that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "mine"))


@pytest.fixture(scope="session")
def public(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public release of the generated workspace's newest version. Tests read it and change nothing."""
    return _release(made, tmp_path_factory.mktemp("release") / "public", "public")


@pytest.fixture(scope="session")
def gated(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gated release of the same version."""
    return _release(made, tmp_path_factory.mktemp("release") / "gated", "gated")


def _release(root: Path, folder: Path, profile: Profile) -> Path:
    from seas_data import version
    from seas_data.release.folder import checkout

    checkout(version.open(root).version(), folder, profile)
    return folder
