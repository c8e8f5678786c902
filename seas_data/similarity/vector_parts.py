"""Vectors as work units of an engine: each unit embeds some texts and adds one part to the store of vectors.

The store is what a resumed build reads, whoever filled it: units are made of the texts that have no vector yet. A
vector depends on its text and the model only (see ``encoder``) on machines whose processors have the same vector
instructions, so a worker that differs from the driver in its model or processor refuses the unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import torch

from seas_data.errors import SeasDataError
from seas_data.recipe import Embedder
from seas_data.similarity import encoder, vector_store
from seas_data.similarity.encoder import Encoder, Model
from seas_data.store.part_folder import PartFolder, open_folder
from seas_data.store.parts import Engine

UNIT_TOKENS = {"cpu": 100_000, "cuda": 5_000_000}
"""Tokens of the texts of a unit: half a minute of one core, which is what a lost machine loses."""


@dataclass(frozen=True)
class VectorUnit:
    """Windows (``key``, ``text``, ``start``) to embed with ``model`` and to store in ``folder``.

    ``processor``: the driver's. ``store``: the folder that takes the vectors instead, if workers do not see ``folder``.
    """

    model: Model
    processor: str
    texts: pl.DataFrame
    folder: Path
    store: PartFolder | None = None


def compute_vectors(engine: Engine, model: Model, texts: pl.DataFrame, folder: Path) -> None:
    """Embed the windows ``texts`` on ``engine`` and store their vectors in ``folder``.

    Input columns: ``key``, ``text`` (the whole), ``start`` (see ``windows``), ``tokens``.

    Raises SeasDataError if a worker has another model or processor, or ``engine`` cannot finish.
    """
    store = None if engine.store is None else open_folder(f"{engine.store.rstrip('/')}/vectors/{model.key}")
    if store is not None and _fetch(store, folder):  # of a build that was killed
        stored, _ = vector_store.read_vectors(folder, texts["key"])
        texts = texts.filter(~pl.Series(stored))
    slices = list(_slices(texts, UNIT_TOKENS["cuda" if torch.cuda.is_available() else "cpu"]))
    processor = _describe_processor()
    units = (VectorUnit(model, processor, each.select("key", "text", "start"), folder, store) for each in slices)
    engine.run(store_unit, units, len(slices), "embedding", gpus=int(torch.cuda.is_available()))
    if store is not None:
        _fetch(store, folder)


def _fetch(store: PartFolder, folder: Path) -> int:
    """Move the parts of ``store`` to ``folder`` and return their number; damaged ones are embedded again."""
    names = sorted(name for name in store.names() if name.endswith(".parquet"))
    for name in names:
        content = store.read(name, "its texts are embedded again")
        if content is not None:
            vector_store.write_part(folder, name, content)
        store.remove(name)
    return len(names)


def store_unit(unit: VectorUnit) -> None:
    """Embed the texts of ``unit`` and store their vectors as one part."""
    if _describe_processor() != unit.processor:
        raise SeasDataError(
            f"a worker computes vectors by {_describe_processor()}, and the machine that builds by {unit.processor}; "
            "use nodes of one kind and run the build on one of them, because the last bits of vectors differ"
        )
    loaded = _load(unit.model)
    tokens = encoder.tokenise(loaded, unit.texts["text"].to_list())
    batches = list(encoder.encode(loaded, tokens, np.arange(unit.texts.height), unit.texts["start"].to_numpy()))
    rows = np.concatenate([each for each, _ in batches])
    name, content = vector_store.encode_vectors(unit.texts["key"][rows], np.concatenate([each for _, each in batches]))
    if unit.store is None:
        vector_store.write_part(unit.folder, name, content)
    else:
        unit.store.write(name, content)


@lru_cache(maxsize=1)
def _load(model: Model) -> Encoder:
    """Load ``model`` once per process. Raises SeasDataError if this machine has other files of it."""
    here = encoder.locate_model(
        Embedder(model=str(model.folder), precision="bf16" if model.bf16 else "fp32", prompt=model.prompt)
    )
    if here.key.rpartition("@")[2] != model.key.rpartition("@")[2]:
        raise SeasDataError(
            f"the embedder in {model.folder} has other files on a worker than on the machine that builds; install the "
            "same model on all nodes under the same path"
        )
    return encoder.load_encoder(model)


def _slices(texts: pl.DataFrame, max_tokens: int) -> Iterator[pl.DataFrame]:
    """Yield slices of about ``max_tokens`` tokens; texts of one length, which share batches, are next to each other."""
    ordered = texts.sort("tokens", descending=True, maintain_order=True)
    number = ordered["tokens"].cast(pl.Int64).cum_sum() // max_tokens
    for _, each in ordered.group_by(number, maintain_order=True):
        yield each


def _describe_processor() -> str:
    """Return what decides the last bits of a vector: the kind of GPU, or the vector instructions of the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
