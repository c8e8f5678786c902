"""Faults to inject into the requests that a test selects."""

import re
from dataclasses import dataclass, field


@dataclass
class Fault:
    """A fault in the next ``times`` requests of ``method`` whose URL matches ``path``, after ``skip`` without a fault.

    One of: ``status`` (the reply, with ``headers`` and ``message`` or ``page``), ``drop_after`` (the connection
    breaks after this many bytes of the body of the request or the reply), ``lost`` (the request is carried
    out, but the connection breaks before the reply). ``stall``: seconds of silence after ``drop_after`` bytes.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "something went wrong"
    page: bytes | None = None  # in place of the message: the page of a proxy
    drop_after: int | None = None
    lost: bool = False
    stall: float = 0.0
    times: int = 1
    skip: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Return whether the fault applies to this request, and count it."""
        if method != self.method or not re.search(self.path, path) or self.times <= 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
