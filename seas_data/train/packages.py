"""The packages that train: those of the extra ``train``."""

from importlib.util import find_spec

from seas_data.errors import SeasDataError


def require_packages(*, lora: bool) -> None:
    """Raise SeasDataError if a package that training needs, with adapters if ``lora``, is not installed."""
    needed = ("trl", "accelerate", *(("peft",) if lora else ()))
    if missing := [name for name in needed if find_spec(name) is None]:
        raise SeasDataError(f"training needs {' and '.join(missing)}; install with: pip install 'seas-data[train]'")
