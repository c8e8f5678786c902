"""Pulling what was pushed, and refusing what was tampered with."""

from pathlib import Path

import pytest

from seas_data import version as versions
from seas_data.release.folder import checkout
from seas_data.release.profile import Profile
from seas_data.release.pull import pull
from seas_data.release.push import Wanted, push
from tests.hub import Hub


@pytest.mark.parametrize("profile", ["public", "gated"])
def test_a_pulled_version_has_the_digest_that_was_pushed(
    hub: Hub, mine: Path, tmp_path: Path, profile: Profile
) -> None:
    version = versions.open(mine).version("v1")
    digest = checkout(version, tmp_path / "release", profile).digest
    push(version, Wanted("org/set", tag="1.0.0"), profile)
    pulled = pull("org/set@1.0.0", tmp_path / "ws2")
    assert pulled.new
    assert pulled.version.digest == digest
    assert pulled.version.manifest.full_digest == version.digest
    assert pulled.version.workspace.verify(pulled.version.manifest) == []
    assert versions.open(tmp_path / "ws2").version("1.0.0").digest == digest
    again = pull("org/set@1.0.0", tmp_path / "ws2")
    assert not again.new
