"""Files that are not code: folders of recipes, queries, cards and taxonomies, beside the package in a checkout and
inside it when installed, and files of other packages.
"""

from importlib.util import find_spec
from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder ``name``: pipelines, sql, cards or taxonomies."""
    package = Path(__file__).parent
    inside = package / "_resources" / name
    return inside if inside.exists() else package.parent / name


def find_package_file(package: str, file: str) -> Path | None:
    """Return ``file`` in the folder of an installed package, or None. Its code is not run."""
    spec = find_spec(package)
    folders = map(Path, spec.submodule_search_locations or [] if spec else [])
    return next((path for folder in folders if (path := folder / file).is_file()), None)
