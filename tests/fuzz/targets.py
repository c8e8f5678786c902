"""All targets by name."""

from typing import Final

from tests.fuzz import judges, replies, sources, stored
from tests.fuzz.engine import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for module in (sources, judges, replies, stored) for target in module.targets()
}
