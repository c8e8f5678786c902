"""``python -m seas_data``: the same as ``seas-data``."""

from seas_data.cli import main

main()
