"""seas-data: build and version adversarial and ambiguous-harmless safety datasets.

    import seas_data as sd

    version = sd.open("workspace").version("v0")
    version.table("kept")
    version.sql("select type, count(*) as rows from kept group by 1")

``seas_data.run.build`` builds versions. The steps of curation are functions on frames, in ``seas_data.curate``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seas_data.query.version import Version, open
    from seas_data.recipe import load as load_recipe

__all__ = ["Version", "load_recipe", "open"]

_LOCATIONS = {
    "Version": ("seas_data.query.version", "Version"),
    "load_recipe": ("seas_data.recipe", "load"),
    "open": ("seas_data.query.version", "open"),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that light commands do not load heavy libraries."""
    if name not in _LOCATIONS:
        raise AttributeError(f"module seas_data has no attribute {name}")
    from importlib import import_module

    module, attribute = _LOCATIONS[name]
    return getattr(import_module(module), attribute)
