"""From format 1 to format 2: recipe keys and settings of HTTP models got other names. No column changed."""

import json
from typing import Any, Final

import polars as pl

_SFT: Final = {
    "batch": "batch_size",
    "micro_batch": "per_device_batch_size",
    "warm_up": "warmup_steps",
    "scheduler": "lr_scheduler",
    "max_gradient_norm": "max_grad_norm",
    "log_steps": "logging_steps",
    "accelerate": "accelerate_config",
    "processes": "num_processes",
    "options": "trl_options",
    "lora.targets": "target_modules",
}
_DPO: Final = _SFT | {
    "loss": "loss_type",
    "reference": "reference_model",
    "precompute_reference": "precompute_ref_log_probs",
}
_THRESHOLDS: Final = {"duplicate": "duplicate_threshold", "group": "group_threshold"}
_MODEL: Final = {
    "batch_tokens": "max_batch_tokens",
    "batch_rows": "max_batch_rows",
    "form": "endpoint",
    "key_variable": "api_key_env",
    "timeout": "timeout_seconds",
    "patience": "max_wait_seconds",
    "options": "extra_body",
}
_KEYS: Final[dict[str, dict[str, str]]] = {
    "": {"pulled": "pulled_from"},
    "sources.*": {"unwrap": "strip"},
    "embedders.*": {"max_unknown": "max_unknown_proportion"},
    "curation": {
        "contamination.ngram": "ngram_threshold",
        "contamination.semantic": "semantic_threshold",
        "templates.find": "detect",
        "clusters.fit_rows": "map_fit_rows",
        "split.by_request": "group_by_request",
    },
    "curation.near": _THRESHOLDS,
    "curation.semantic": _THRESHOLDS,
    "sandbox": {"target_rows": "target_sft_rows"},
    "loop": {
        "seeds": "seeds_per_iteration",
        "red_rows": "red_sft_rows",
        "rounds": "update_data",
        "success.rate": "min_unsafe_rate",
        "harmless.prompts": "prompts_per_iteration",
    },
    "loop.attack": {
        "examples": "examples_per_seed",
        "types": "seed_types",
        "prompts": "attacks_per_seed",
        "responses": "responses_per_attack",
        "request": "prompt_template",
        "between": "example_separator",
    },
    "loop.sampling": {"red_tokens": "red_max_tokens", "target_tokens": "target_max_tokens"},
    "loop.evaluation": {
        "prompts": "attacks_per_seed",
        "responses": "responses_per_prompt",
        "rows": "max_prompts",
        "sets": "holdout_sources",
        "answers": "expected_answers",
        "gold": "gold_verdicts",
    },
    "models.*": _MODEL,
    "pairs.red": {
        "margin": "min_margin",
        "near_duplicate": "near_duplicate_threshold",
        "max_per_seed": "max_pairs_per_seed",
        "balance": "balance_types",
        "shuffle": "random_labels",
    },
    "pairs.target": {"choose": "select_by", "max_per_prompt": "max_pairs_per_prompt", "balance": "balance_types"},
    "pairs.harmless": {"choose": "select_by", "max_per_prompt": "max_pairs_per_prompt"},
    "pairs.mart": {"success_rate": "min_success_rate", "reward": "reward_model"},
    "training.red_sft": _SFT,
    "training.target_sft": _SFT,
    "training.red": _DPO,
    "training.target": _DPO,
    "release": {"unparsed_share": "max_unparsed_proportion"},
}
"""New names of keys, by the section that they are in; ``*`` stands for every entry of a section."""


def convert_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe of format 1 as one of format 2."""
    content: dict[str, Any] = json.loads(json.dumps(recipe))
    for section, names in _KEYS.items():
        for keys in _find(content, section.split(".") if section else []):
            for old, new in names.items():
                *parents, key = old.split(".")
                for place in _find(keys, parents):
                    _rename(place, key, new)
    for model in _find(content, ["models", "*"]):
        if model.get("endpoint") == "completion":
            model["endpoint"] = "completions"
    for judge in _find(content, ["judges", "*"]):
        controversial = judge.pop("controversial", "unsafe")
        if judge.get("guard") == "qwen3guard" and controversial != "unsafe":
            judge["options"] = {"controversial": controversial}
    return content


def convert_settings(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of ``settings`` in which the settings of HTTP models have their new names; ids stay."""
    return rows.with_columns(pl.col("sampling").map_elements(_convert_sampling, return_dtype=pl.String))


def _convert_sampling(text: str) -> str:
    content = json.loads(text)
    for old in ("form", "options"):
        _rename(content, old, _MODEL[old])
    if content.get("endpoint") == "completion":
        content["endpoint"] = "completions"
    return json.dumps(content, sort_keys=True)


def _rename(content: dict[str, Any], old: str, new: str) -> None:
    """Rename a key in place, where it is."""
    items = [(new if key == old else key, value) for key, value in content.items()]
    content.clear()
    content.update(items)


def _find(content: Any, path: list[str]) -> list[dict[str, Any]]:
    """Return the sections at ``path`` below ``content``; none where a key is missing or null."""
    found = [content]
    for key in path:
        if key == "*":
            found = [each for one in found for each in (one.values() if isinstance(one, dict) else one)]
        else:
            found = [one[key] for one in found if one.get(key) is not None]
    return [one for one in found if isinstance(one, dict)]
