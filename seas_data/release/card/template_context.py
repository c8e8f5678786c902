"""The context of a card template: facts about the version, its recipe, licence, files and figures."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from seas_data.errors import SeasDataError
from seas_data.markdown import escape_sentence, line
from seas_data.query.version import Version
from seas_data.recipe.recipe import Recipe
from seas_data.release import licences, recipes, visibility
from seas_data.release.card import dataset_info, metadata, pictures, queries
from seas_data.release.visibility import Profile

Facts = dict[str, Any]

_TAGS = ["safety", "red-teaming", "adversarial-prompts", "over-refusal", "jailbreak", "not-for-all-audiences"]
_LOOP_TAGS = ["preference-data", "self-evolving"]
_PAPER_TAG = f"arxiv:{metadata.ARXIV}"  # the Hub derives it from the link in the text; other readers do not

_FORM: Facts = {
    "Name": "text",
    "Affiliation": "text",
    "Country": "country",
    "What I will use it for": {"type": "select", "options": ["Safety training", "Safety evaluation", "Other research"]},
    "I will use it to make models safer and not to attack systems that are not mine": "checkbox",
    "I will not share it with people who have not agreed to this": "checkbox",
}
_SIZES = ("released", "sources", "languages", "written_by_models", "manual_decisions")
_GATES = {
    "dataset": "This dataset contains attacks on language models and harmful responses of models. It is for people who "
    "make models safer. State who you are and what you will use it for; a person reads every request.",
    "model": "This model writes attacks on language models. It is for people who make models safer. State who you are "
    "and what you will use it for; a person reads every request.",
}
_JUDGE_KINDS = {
    "guard": "safety classifier",
    "rules": "patterns in the text",
    "refusal": "model, by the XSTest protocol",
}
_TRAININGS = {"red_sft": "R0, at the start", "target_sft": "T0, at the start", "red": "red teams", "target": "targets"}


def dataset_context(version: Version, profile: Profile, waivers: Mapping[str, str]) -> Facts:
    """Return the context of the dataset card, with its ``metadata``."""
    found = _withhold_counts(version, queries.run_queries(version, queries.DATASET))
    recipe, by_iteration = recipes.read_recipe(version.manifest), recipes.read_iteration_recipes(version)
    size = found["overview"][0] if found["overview"] else dict.fromkeys(_SIZES, 0)  # no row is left
    configs = dataset_info.describe_configs(version, profile)
    licensing = licences.derive_licence(version, profile)
    licence = metadata.licence(licensing.licence.id if licensing.licence else None)
    head: Facts = {
        "pretty_name": _title(recipe),
        "language": metadata.languages(row["language"] for row in found["languages"] if row["released"]),
        **licence,
        "multilinguality": ["multilingual" if size.get("languages", 0) > 1 else "monolingual"],
        "size_categories": [metadata.size_category(size.get("released", 0))],
        "source_datasets": metadata.hub_ids(source.hub for source in recipe.sources.values()) or ["original"],
        "task_categories": ["text-generation", "text-classification"],
        "annotations_creators": _annotators(found, size),
        "language_creators": ["found", *(["machine-generated"] if size.get("written_by_models") else [])],
        "tags": [*_TAGS, *(_LOOP_TAGS if found["iterations"] else []), _PAPER_TAG],
        "configs": dataset_info.list_configs(configs),
        "dataset_info": dataset_info.dataset_info(configs),
    }
    if profile == "gated":
        head |= _gate("dataset")
    return found | {
        "metadata": {key: value for key, value in head.items() if value != []},
        "size": size,
        "profile": profile,
        "licence": licensing.licence.id if licensing.licence else None,
        "unlicensed": sorted({name for _, names in licensing.faults for name in names}),
        "outputs": _output_terms(licensing.parts),
        "missing_types": [row["type"] for row in found["taxonomy"] if not row["kept"]],
        "categories": {"title": recipe.taxonomy.title or recipe.taxonomy.name, "count": len(found["taxonomy"])},
        "withheld": visibility.withheld(profile),
        "columns": dataset_info.columns(profile),
        "configs": configs,
        "judges": _judges(by_iteration, found["judges"]),
        "bases": _base_models(by_iteration),
        "training": _training(by_iteration) if found["models"] else [],
        "trend": bool(pictures.trend_lines(found["target_sets"])),
        "waivers": list_waivers(waivers),
        **_changes_since_parent(version, found),
        **_about(version, recipe),
    }


def model_context(version: Version, name: str, waivers: Mapping[str, str]) -> Facts:
    """Return the context of a model card, with its ``metadata``.

    Raises SeasDataError if the version has no model of that name.
    """
    found = _withhold_counts(version, queries.run_queries(version, queries.MODEL))
    rows = [row for row in found["models"] if row["model"] == name]
    if not rows:
        models = ", ".join(row["model"] for row in found["models"]) or "none"
        raise SeasDataError(f"{version.name} has no model {name}; its models are: {models}")
    row = rows[0]
    recipe = recipes.read_recipe(version.manifest)
    last, part = max(row["iteration"], 1), "red team" if row["role"] == "red" else "target"
    by_iteration = recipes.read_iteration_recipes(version)
    # It was trained from the model before it, and so on: the base models of all recipes up to then count.
    until = {k: each for k, each in by_iteration.items() if k <= last} or {last: recipe}
    bases = [each for each in _base_models(until) if each["part"].startswith(part)]
    licences_of_bases = {each["licence"] for each in bases}
    head: Facts = {
        "pretty_name": f"{_title(recipe)} {name}",
        "language": metadata.languages(each["language"] for each in found["languages"] if each["released"]),
        **metadata.licence(licences_of_bases.pop() if len(licences_of_bases) == 1 else None),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": metadata.hub_ids(each["model"] for each in bases),
        "tags": ["safety", "red-teaming", "self-evolving", _PAPER_TAG]
        + (["not-for-all-audiences", "attack-generator"] if row["role"] == "red" else []),
    }
    if row["role"] == "red":
        head |= _gate("model")
    stage = row["role"] + ("_sft" if row["iteration"] == 0 else "")
    roles = ["red"] if row["role"] == "red" else ["target", "harmless", "general"]
    return found | {
        "metadata": {key: value for key, value in head.items() if value != []},
        "model": row,
        "bases": bases,
        "training": [each for each in _training({last: until.get(last, recipe)}) if each["stage"] == stage],
        "learned": [
            each
            for each in found["pairs_by_role"]
            if each["outcome"] == "paired" and each["iteration"] == row["iteration"] and each["role"] in roles
        ],
        "judges": _judges(by_iteration, found["judges"]),
        "waivers": list_waivers(waivers),
        **_about(version, recipe),
    }


def list_waivers(waivers: Mapping[str, str]) -> list[Facts]:
    """Return the waived checks, sorted, each with the reason."""
    return [{"check": name, "because": waivers[name]} for name in sorted(waivers)]


def _withhold_counts(version: Version, found: queries.Figures) -> queries.Figures:
    """Return the figures without counts of pairs if the version is a pulled release that lacks these rows."""
    if not any(each.table in ("pairs", "demonstrations") for each in version.manifest.withheld):
        return found
    rows = {name: [dict(row) for row in figures] for name, figures in found.items()}
    for row in rows.get("iterations", []):
        row |= dict.fromkeys(_PAIR_COUNTS, "withheld")
    for row in rows.get("leaks", []):
        row |= {"rows": "withheld"} if row["leak"].endswith(_PAIR_LEAKS) else {}
    if "pairs_by_role" in rows:
        rows["pairs_by_role"] = [row for row in rows["pairs_by_role"] if row["role"] == "red"]
    return rows


_PAIR_COUNTS = ("target_pairs", "harmless_pairs", "general_pairs")
_PAIR_LEAKS = "in pairs, demonstrations or training seeds"


def _about(version: Version, recipe: Recipe) -> Facts:
    return {
        "title": _title(recipe),
        "description": escape_sentence(recipe.description) if recipe.description else "",
        "version": version.name,
        "digest": version.manifest.full_digest or version.digest,
        "parent": version.manifest.parent,
    }


def _gate(what: str) -> Facts:
    return {
        "extra_gated_prompt": _GATES[what],
        "extra_gated_fields": _FORM,
        "extra_gated_button_content": "Request access",
    }


def _base_models(by_iteration: Mapping[int, Recipe]) -> list[Facts]:
    """Return the models of the loop, its judges and its rewards: part, model, revision and licence."""
    found = []
    for iteration, recipe in by_iteration.items():
        parts = {"red team": recipes.loop_model(recipe, "red"), "target": recipes.loop_model(recipe, "target")}
        parts |= {f"judge {judge.label}": judge.model for judge in recipe.judges if judge.model is not None}
        parts |= {} if (reward := recipes.reward_model(recipe)) is None else {"reward": reward}
        found += [
            (iteration, {"part": part, **recipe.models[name].model_dump(include={"model", "revision", "licence"})})
            for part, name in parts.items()
            if name in recipe.models
        ]
    return _merge_iterations(found, "part")


def _judges(by_iteration: Mapping[int, Recipe], found: list[queries.Row]) -> list[Facts]:
    """Return the figures of each judge, with its ``kind``."""
    kinds: dict[str, list[str]] = {}
    for judge in (each for recipe in by_iteration.values() for each in recipe.judges):
        kinds.setdefault(judge.label, []).append(judge.guard if judge.by == "guard" else _JUDGE_KINDS[judge.by])
    return [row | {"kind": ", ".join(dict.fromkeys(kinds.get(row["judge"], []))) or None} for row in found]


def _training(by_iteration: Mapping[int, Recipe]) -> list[Facts]:
    """Return the settings of each of the loop's trainings."""
    found = []
    for stage, of in _TRAININGS.items():
        for iteration, recipe in by_iteration.items():
            if stage.endswith("_sft") and iteration != min(by_iteration):
                continue
            settings = getattr(recipe.training, stage)
            row: Facts = {"stage": stage, "of": of, "loss": ", ".join(getattr(settings, "loss_type", ["likelihood"]))}
            row |= {key: getattr(settings, key, None) for key in ("learning_rate", "batch_size", "epochs", "beta")}
            row["weights"] = f"LoRA of rank {settings.lora.rank}" if settings.lora else "all"
            found.append((iteration, row))
    return _merge_iterations(found, "of")


def _merge_iterations(found: Iterable[tuple[int, Facts]], key: str) -> list[Facts]:
    """Return the distinct rows of all iterations; if those of a ``key`` differ, it also names their iterations."""
    rows: list[tuple[Facts, list[int]]] = []
    for iteration, row in found:
        same = next((numbers for other, numbers in rows if other == row), None)
        if same is None:
            rows.append((row, [iteration]))
        else:
            same.append(iteration)
    counts = Counter(row[key] for row, _ in rows)
    return [
        row | ({key: f"{row[key]}, iteration {_format_iterations(numbers)}"} if counts[row[key]] > 1 else {})
        for row, numbers in sorted(rows, key=lambda each: list(counts).index(each[0][key]))
    ]


def _format_iterations(numbers: list[int]) -> str:
    consecutive = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if consecutive else ", ".join(map(str, numbers))


def _title(recipe: Recipe) -> str:
    words = recipe.name.replace("-", " ")
    return line(words[:1].upper() + words[1:])


def _output_terms(parts: Iterable[licences.Part]) -> list[Facts]:
    """Return the terms for outputs in the licences of models: part, licence and says (in the package's words)."""
    return [
        {"part": part.name, "licence": part.terms.id, "says": Markup(part.terms.outputs)}
        for part in parts
        if part.terms is not None and part.terms.outputs
    ]


def _annotators(found: queries.Figures, size: Facts) -> list[str]:
    sources = {row["label_source"] for row in found["label_sources"]}
    creators = ["found"] if "source" in sources else []
    if sources & {"classifier", "judge", "seed"} or found["judges"]:
        creators.append("machine-generated")
    if size.get("manual_decisions"):
        creators.append("expert-generated")
    return creators or ["no-annotation"]


def _changes_since_parent(version: Version, found: queries.Figures) -> Facts:
    """Return how kept prompts and drops differ from the parent version; nothing if it is not in the workspace."""
    parent = version.manifest.parent
    if parent is None or parent not in version.workspace.versions():
        return {"changed_kinds": [], "changed_drops": []}
    before = Version(version.workspace, version.workspace.manifest(parent))
    old = queries.run_queries(before, {"rows-by-kind": [], "drop-reasons": []})
    kinds = queries.compare_results(old["rows_by_kind"], found["rows_by_kind"], ("kind", "difficulty"), "kept")
    drops = queries.compare_results(old["drop_reasons"], found["drop_reasons"], ("reason",), "prompts")
    return {"changed_kinds": kinds, "changed_drops": drops}
