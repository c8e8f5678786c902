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
TASKS = ("mini_world", "mini_world_choice")
"""Tasks for lm-evaluation-harness in the folder ``tasks``: the general questions of the world, to be answered in words,
or by choosing one of four answers."""
_TASK_FILE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: mini_world.jsonl}}
test_split: test
doc_to_text: "{{{{question}}}}"
{how}metadata: {{version: 1.0}}
"""
_HOW = {
    "mini_world": """\
output_type: generate_until
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {max_gen_toks: 24, until: ["\\n"], do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
    "mini_world_choice": """\
output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
}


def write_sandbox(folder: Path, settings: Sandbox) -> None:
    """Write ``FILES``, ``MODELS`` and ``TASKS`` to ``folder``; no files or models that it has of the same settings."""
    from seas_data.sandbox import corpora
    from seas_data.sandbox.tiny import LAYERS, write_model

    written = json.dumps(settings.model_dump(mode="json"), sort_keys=True) + "\n"
    write_tasks(folder / "tasks", settings)
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


def write_tasks(folder: Path, settings: Sandbox) -> None:
    """Write ``TASKS`` and their questions to ``folder``."""
    from seas_data.sandbox import corpora

    _write_jsonl(folder / "mini_world.jsonl", corpora.draw_choices(settings))
    for name in TASKS:
        files.write_text(folder / f"{name}.yaml", _TASK_FILE.format(name=name, how=_HOW[name]))


def _write_jsonl(path: Path, rows: pl.DataFrame) -> None:
    with files.atomic_write(path) as temporary:
        rows.write_ndjson(temporary)
