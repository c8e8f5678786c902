"""seas-data: build and version adversarial and ambiguous-harmless safety datasets.

    import seas_data as sd

    version = sd.open("workspace").version("v0")
    version.table("kept")
    version.sql("select type, count(*) as rows from kept group by 1")

The steps of curation are functions on frames: ``from seas_data.curate import templates, select, split``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seas_data.query.version import Version, open
    from seas_data.recipe import load as load_recipe
    from seas_data.run import build

__all__ = ["Version", "build", "load_recipe", "open"]

_PLACES = {
    "Version": ("seas_data.query.version", "Version"),
    "build": ("seas_data.run", "build"),
    "load_recipe": ("seas_data.recipe", "load"),
    "open": ("seas_data.query.version", "open"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that light commands do not load heavy libraries."""
    if name not in _PLACES:
        raise AttributeError(f"module seas_data has no attribute {name}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
