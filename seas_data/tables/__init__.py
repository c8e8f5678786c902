"""The tables of a version: their schemas (``schema.py``), what each column may be used for (``policy.py``), frames in
and out of them (``io.py``), their closed lists of values (``values.py``), and ids.
"""

from seas_data.tables.io import cast, check_shard, empty, read, read_parts, stored_schema
from seas_data.tables.schema import TABLES
from seas_data.tables.values import (
    ATTACK_REASONS,
    LABELS,
    PAIR_ROLES,
    PAIR_ROLES_OF,
    REASONS,
    SET_ASIDE_REASONS,
    UNPAIRED_REASONS,
)

__all__ = [
    "ATTACK_REASONS",
    "LABELS",
    "PAIR_ROLES",
    "PAIR_ROLES_OF",
    "REASONS",
    "SET_ASIDE_REASONS",
    "TABLES",
    "UNPAIRED_REASONS",
    "cast",
    "check_shard",
    "empty",
    "read",
    "read_parts",
    "stored_schema",
]
