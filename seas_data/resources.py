"""Where the recipes, queries and cards are: beside the package in a checkout, inside it once it is installed."""

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder ``name`` (pipelines, sql or cards)."""
    package = Path(__file__).parent
    inside = package / "_resources" / name
    return inside if inside.exists() else package.parent / name
