"""A Hub on this machine for tests: it speaks the Hub's HTTP protocol to the real clients, and fails when told to.

    with Hub() as hub:
        hub.faults.append(Fault("PUT", "/lfs/", drop_after=1000))
        ... HF_ENDPOINT=hub.url, HF_TOKEN=hub.owner, HF_HUB_DISABLE_XET=1 ...
        hub.repository("datasets", "org/name").head().tree

``repository`` is the git-like store, ``faults`` what can go wrong, ``routes`` what each address answers, ``server`` the
HTTP around it. Large files travel as LFS ``basic`` uploads; the Xet protocol is not spoken.
"""

from tests.hub.faults import Fault
from tests.hub.repository import Repository
from tests.hub.server import Hub

__all__ = ["Fault", "Hub", "Repository"]
