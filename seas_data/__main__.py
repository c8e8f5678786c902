"""Entry point of ``python -m seas_data``, which is the command ``seas-data``."""

from seas_data.cli import main

main()
