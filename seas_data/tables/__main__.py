"""``python -m seas_data.tables docs/tables.md``: write the tables of the schema into the docs page."""

import sys
from pathlib import Path

from seas_data.tables import TABLES, policy


def main(page: Path) -> None:
    """Replace everything from the first table's heading on by the tables of the schema; keep the text before it."""
    text = page.read_text(encoding="utf-8")
    introduction = text[: text.index(f"## {next(iter(TABLES))}\n")]
    page.write_text(introduction + policy.markdown(TABLES.items()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
