"""How fast the review page is with many items: the first page and each next one, by HTTP on this machine.

python benchmarks/review_page.py            # 100,000 prompts with vectors of 384 dimensions, invented
python benchmarks/review_page.py 10000
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from seas_data import tables
from seas_data.review import sheet
from tests.review.pages import prompt_session, served, visit

NEXT = 200


class Made:
    """The tables of a version that the page reads."""

    name = "v0"

    def __init__(self, rows: int) -> None:
        ids = pl.Series("prompt_id", [f"{number:024x}" for number in range(rows)])
        prompts = pl.DataFrame({"prompt_id": ids}).with_columns(
            text=pl.format("Which door of the garden has number {}?", pl.int_range(rows)),
            kind=pl.lit("general"),
            source=pl.lit("made"),
        )
        missing = [name for name in tables.empty("prompts").columns if name not in prompts.columns]
        schema = tables.empty("prompts").schema
        self.prompts = prompts.with_columns(pl.lit(None, schema[name]).alias(name) for name in missing)
        vectors = np.random.default_rng(0).standard_normal((rows, 384), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vector = pl.Series("vector", vectors).cast(pl.List(pl.Float32))
        self.embeddings = pl.DataFrame({"prompt_id": ids, "model": "made", "vector": vector})

    def table(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Return a table."""
        stored = {"prompts": self.prompts, "kept": self.prompts, "embeddings": self.embeddings}
        frame = stored[name] if name in stored else tables.empty(name)
        return frame if columns is None else frame.select(columns)


def main() -> None:
    version: Any = Made(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ada.csv"
        sheet.write_sheet(version.prompts, path)
        start = time.perf_counter()
        session = prompt_session(version, path, 0)
        with served(version, session) as address:
            print(f"ready after {time.perf_counter() - start:.1f} s")
            client = visit(address)
            start = time.perf_counter()
            client.get("/").raise_for_status()
            print(f"first item: {1000 * (time.perf_counter() - start):.0f} ms")
            times, used = [], time.process_time()
            for number in range(1, NEXT + 1):
                start = time.perf_counter()
                row = session.ids[number - 1]
                client.post("/decide", data={"row": row, "choice": "1", "at": str(number)}).raise_for_status()
                times.append(1000 * (time.perf_counter() - start))
            used = 1000 * (time.process_time() - used) / NEXT
            print(f"decide and next item: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms")
            print(f"processor time of each, with the client and what is computed ahead: {used:.0f} ms")


if __name__ == "__main__":
    main()
