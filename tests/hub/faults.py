"""What can go wrong on the way to the Hub, for requests that a test names."""

import re
from dataclasses import dataclass, field


@dataclass
class Fault:
    """The next ``times`` requests of ``method`` whose address matches ``path`` go wrong, after ``skip`` that do not.

    One of: ``status`` (answered instead, with ``headers`` and ``message`` or ``page``), ``drop_after`` (the connection
    breaks once this many bytes of the request's or the answer's body have passed), ``lost`` (the request is carried
    out, but the connection breaks before its answer). ``stall``: seconds of silence after ``drop_after`` bytes.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "something went wrong"
    page: bytes | None = None  # in place of the message: what a proxy shows
    drop_after: int | None = None
    lost: bool = False
    stall: float = 0.0
    times: int = 1
    skip: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Return whether this request goes wrong, and count it."""
        if method != self.method or not re.search(self.path, path) or self.times <= 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
