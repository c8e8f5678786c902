"""seas-data: build and version adversarial and ambiguous-harmless safety datasets.

    import seas_data as sd

    built = sd.build("example", "workspace")
    version = sd.open("workspace").version("v0")
    version.table("kept")
    version.sql("select type, count(*) as rows from kept group by 1")

Names in ``__all__`` are public: CHANGELOG.md says when one of them changes. They are imported on first use, so that
light commands do not load heavy libraries.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seas_data.api import (
        build,
        card,
        check,
        checkout,
        find_contaminated,
        find_near_duplicates,
        judge,
        pull,
        push,
    )
    from seas_data.build_version import Built
    from seas_data.errors import SeasDataError
    from seas_data.pairs import harmless_pairs, red_pairs, target_pairs
    from seas_data.query.version import Version, open
    from seas_data.recipe import Recipe
    from seas_data.recipe import load as load_recipe

__all__ = [
    "Built",
    "Recipe",
    "SeasDataError",
    "Version",
    "__version__",
    "build",
    "card",
    "check",
    "checkout",
    "find_contaminated",
    "find_near_duplicates",
    "harmless_pairs",
    "judge",
    "load_recipe",
    "open",
    "pull",
    "push",
    "red_pairs",
    "target_pairs",
]

_MODULES = {
    "Built": "seas_data.build_version",
    "Recipe": "seas_data.recipe",
    "SeasDataError": "seas_data.errors",
    "Version": "seas_data.query.version",
    "harmless_pairs": "seas_data.pairs",
    "load_recipe": "seas_data.recipe",
    "open": "seas_data.query.version",
    "red_pairs": "seas_data.pairs",
    "target_pairs": "seas_data.pairs",
}
"""The module of each public name that is not in ``seas_data.api``."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("seas-data")
    if name not in __all__:
        raise AttributeError(f"module seas_data has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(_MODULES.get(name, "seas_data.api")), "load" if name == "load_recipe" else name)
