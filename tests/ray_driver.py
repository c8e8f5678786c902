"""A build in a process of its own, with units so small that a few hundred prompts make dozens.

``python -m tests.ray_driver RECIPE WORKSPACE ENGINE SECONDS STORE`` prints the digest of the version. Each unit on Ray
takes ``SECONDS`` longer, so that it can be killed while it runs. ``STORE`` may be empty.
"""

import sys
from pathlib import Path
from typing import Any

from seas_data import engine_ray, recipe
from seas_data.run import build
from seas_data.similarity import cosine_neighbours, near_duplicates, vector_parts
from seas_data.store import file_array

seconds = float(sys.argv[4])


def run_slowly(*arguments: Any) -> None:
    import time

    from seas_data.engine_ray import run_unit

    time.sleep(seconds)
    run_unit(*arguments)


if __name__ == "__main__":
    vector_parts.UNIT_TOKENS = dict.fromkeys(vector_parts.UNIT_TOKENS, 600)
    near_duplicates.TEXTS_PER_PART = 16
    near_duplicates.SHINGLES_PER_BLOCK = 1_000
    cosine_neighbours.GROUP_ROWS = dict.fromkeys(cosine_neighbours.GROUP_ROWS, 30)
    cosine_neighbours.PRODUCTS_PER_UNIT = dict.fromkeys(cosine_neighbours.PRODUCTS_PER_UNIT, 2_000)
    if sys.argv[3] == "ray":
        file_array.IN_MEMORY_BYTES = 0  # vectors in a file, as if they were many
    if seconds:
        engine_ray.run_unit = run_slowly  # Ray sends it by value, because it is in no module of the workers
    changes = [f"ray.store={sys.argv[5]}"] if sys.argv[5] else []
    loaded = recipe.load(Path(sys.argv[1]), changes)
    print(build(loaded, Path(sys.argv[2]), sys.argv[3]).version.digest)  # type: ignore[arg-type]
