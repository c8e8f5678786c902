"""A local Hub server for tests: it speaks the Hub's HTTP protocol with the real clients and injects faults.

    with Hub() as hub:
        hub.faults.append(Fault("PUT", "/lfs/", drop_after=1000))
        ... HF_ENDPOINT=hub.url, HF_TOKEN=hub.owner, HF_HUB_DISABLE_XET=1 ...
        hub.repository("datasets", "org/name").head().tree

``repository`` is the git-like store, ``faults`` the injected faults, ``routes`` the replies, ``server`` the
HTTP server. Large files are LFS ``basic`` uploads; the Xet protocol is not supported.
"""

import pytest
from huggingface_hub import constants

from tests.hub.faults import Fault
from tests.hub.repository import Repository
from tests.hub.server import Hub

__all__ = ["Fault", "Hub", "Repository", "lead_client"]


def lead_client(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    """Lead the Hub's client to ``hub``, as the variables ``HF_ENDPOINT`` and ``HF_TOKEN`` of a new process do."""
    for name, value in hub.environment().items():
        patch.setenv(name, value)
    patch.setattr(constants, "ENDPOINT", hub.url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(constants, "HF_HUB_OFFLINE", False)  # read from the environment when the client was imported
