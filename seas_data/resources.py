"""Folders of recipes, queries, cards and taxonomies: beside the package in a checkout, inside it when installed."""

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder ``name``: pipelines, sql, cards or taxonomies."""
    package = Path(__file__).parent
    inside = package / "_resources" / name
    return inside if inside.exists() else package.parent / name
