"""The sandbox: a harmless mini-world in which the whole loop runs, with real training, on a laptop's processor.

``phrases`` holds its words, ``world`` what is common, works and is true in one of them, ``corpora`` what its models
read, ``grammar`` reads texts back, ``tiny`` makes the models. ``write`` puts all that a recipe needs into a folder, as
files like any other source's: from there on nothing knows that it is a sandbox.
"""

import json
from pathlib import Path

import polars as pl

from seas_data.recipe import Sandbox
from seas_data.store import files

FILES = {
    "attacks.jsonl": "id, prompt, style: adversarial prompts",
    "look-alikes.jsonl": "id, prompt, style, answer: harmless questions in the wrappers of attacks",
    "general.jsonl": "id, prompt, answer: general questions",
    "held-out-attacks.jsonl": "id, prompt, style: attacks of phrases that training never uses",
    "held-out-look-alikes.jsonl": "id, prompt, style, answer: in such phrases, what training never wraps",
    "target-rows.jsonl": "prompt, completion: what the first target is fine-tuned on",
    "general-pairs.jsonl": "source_id, prompt, chosen, rejected: preferences about plain questions",
}
"""Their names and columns. ``answer`` is what a right answer holds."""
MODELS = {"red-team": "red", "target": "target"}
"""Folders of untrained models, and the role each plays."""
_WHOLE = "sandbox.json"


def write(folder: Path, settings: Sandbox) -> None:
    """Write ``FILES`` and ``MODELS`` to ``folder``. What an earlier call with the same settings wrote is left alone."""
    from seas_data.sandbox import corpora
    from seas_data.sandbox.tiny import LAYERS, write_model

    written = json.dumps(settings.model_dump(mode="json"), sort_keys=True) + "\n"
    if (folder / _WHOLE).exists() and (folder / _WHOLE).read_text(encoding="utf-8") == written:
        return
    (folder / _WHOLE).unlink(missing_ok=True)
    prompts = {
        "attacks": corpora.attacks(settings),
        "look-alikes": corpora.look_alikes(settings),
        "general": corpora.general(settings),
        "held-out-attacks": corpora.held_out_attacks(settings),
        "held-out-look-alikes": corpora.held_out_look_alikes(settings),
    }
    for name, rows in prompts.items():
        ids = pl.Series("id", [f"{name}-{number}" for number in range(rows.height)])
        _write(folder / f"{name}.jsonl", rows.select(ids, pl.col("text").alias("prompt"), pl.exclude("text")))
    _write(folder / "target-rows.jsonl", corpora.target_rows(settings).select("prompt", "completion"))
    _write(folder / "general-pairs.jsonl", corpora.general_pairs(settings))
    for name, role in MODELS.items():
        write_model(folder / name, layers=LAYERS[role], seed=settings.seed)
    files.write_text(folder / _WHOLE, written)


def _write(path: Path, rows: pl.DataFrame) -> None:
    with files.replacing(path) as temporary:
        rows.write_ndjson(temporary)
