"""Sandbox: a harmless mini-world in which the whole loop runs, with real training, on a laptop CPU.

``phrases`` has its texts, ``world`` the frequencies, leak probabilities and facts of one world, ``corpora`` the prompts
and training rows, ``grammar`` the parser, ``tiny`` the models and ``metrics`` the metrics of attacks. ``write_sandbox``
writes everything that a recipe needs to a folder, as ordinary source files and model folders.
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
    "held-out-attacks.jsonl": "id, prompt, style: attacks with phrases that no training row has",
    "held-out-look-alikes.jsonl": "id, prompt, style, answer: such questions that training never wraps",
    "target-rows.jsonl": "prompt, completion: training rows of the first target",
    "general-pairs.jsonl": "source_id, prompt, chosen, rejected: preference pairs about plain questions",
}
"""Names of the files, with their columns. ``answer`` is what a right answer contains."""
MODELS = {"red-team": "red", "target": "target"}
"""Folders of untrained models, and their roles."""
_MARKER = "sandbox.json"


def write_sandbox(folder: Path, settings: Sandbox) -> None:
    """Write ``FILES`` and ``MODELS`` to ``folder``; do nothing if it already has those of the same settings."""
    from seas_data.sandbox import corpora
    from seas_data.sandbox.tiny import LAYERS, write_model

    written = json.dumps(settings.model_dump(mode="json"), sort_keys=True) + "\n"
    if (folder / _MARKER).exists() and (folder / _MARKER).read_text(encoding="utf-8") == written:
        return
    (folder / _MARKER).unlink(missing_ok=True)
    prompts = {
        "attacks": corpora.draw_attacks(settings),
        "look-alikes": corpora.draw_look_alikes(settings),
        "general": corpora.draw_general_questions(settings),
        "held-out-attacks": corpora.draw_held_out_attacks(settings),
        "held-out-look-alikes": corpora.draw_held_out_look_alikes(settings),
    }
    for name, rows in prompts.items():
        ids = pl.Series("id", [f"{name}-{number}" for number in range(rows.height)])
        _write_jsonl(folder / f"{name}.jsonl", rows.select(ids, pl.col("text").alias("prompt"), pl.exclude("text")))
    _write_jsonl(folder / "target-rows.jsonl", corpora.draw_target_rows(settings).select("prompt", "completion"))
    _write_jsonl(folder / "general-pairs.jsonl", corpora.draw_general_pairs(settings))
    for name, role in MODELS.items():
        write_model(folder / name, layers=LAYERS[role], seed=settings.seed)
    files.write_text(folder / _MARKER, written)


def _write_jsonl(path: Path, rows: pl.DataFrame) -> None:
    with files.atomic_write(path) as temporary:
        rows.write_ndjson(temporary)
