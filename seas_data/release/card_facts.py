"""What a card's template is filled with: the version, its recipe, its licence, its files and its figures."""

from collections.abc import Mapping
from typing import Any

from seas_data.errors import SeasDataError
from seas_data.release import card_configs, figures, metadata, profile, scrub
from seas_data.release.profile import Profile
from seas_data.version import Version

Facts = dict[str, Any]

_TAGS = ["safety", "red-teaming", "adversarial-prompts", "over-refusal", "jailbreak", "not-for-all-audiences"]
_LOOP_TAGS = ["preference-data", "self-evolving"]

GATE_FIELDS: dict[str, Any] = {
    "Name": "text",
    "Affiliation": "text",
    "Country": "country",
    "What I will use it for": {"type": "select", "options": ["Safety training", "Safety evaluation", "Other research"]},
    "I will use it to make models safer and not to attack systems that are not mine": "checkbox",
    "I will not pass on responses or attacks to people who have not agreed to this": "checkbox",
}
GATE = (
    "This set holds attacks on language models and harmful text that models wrote in answer to them. It is for people "
    "who make models safer. Say who you are and what you will use it for; a person reads every request."
)


def dataset(version: Version, kept_profile: Profile, allowed: Mapping[str, str]) -> Facts:
    """Return what the template of the dataset card is filled with, and ``metadata``."""
    found = figures.gather(version, figures.DATASET)
    recipe = scrub.recipe(version.manifest.recipe)
    overview = found["overview"][0]
    title = _title(recipe)
    described = card_configs.describe(version, kept_profile)
    licences = [row["licence"] for row in found["rows_by_source"]]
    head: Facts = {
        "pretty_name": title,
        "language": metadata.languages(row["language"] for row in found["languages"] if row["kept"]),
        **_licence(licences),
        "multilinguality": ["multilingual" if overview["languages"] > 1 else "monolingual"],
        "size_categories": [metadata.size_category(overview["kept"])],
        "source_datasets": metadata.hub_ids(source.get("hub") for source in recipe.get("sources", {}).values())
        or ["original"],
        "task_categories": ["text-generation", "text-classification"],
        "annotations_creators": _annotators(found),
        "language_creators": ["found", *(["machine-generated"] if overview["written_by_models"] else [])],
        "tags": [*_TAGS, *(_LOOP_TAGS if found["iterations"] else []), f"arxiv:{metadata.ARXIV}"],
        "configs": card_configs.listed(described),
        "dataset_info": card_configs.dataset_info(described),
    }
    if kept_profile == "gated":
        head |= {"extra_gated_prompt": GATE, "extra_gated_fields": GATE_FIELDS, "extra_gated_button_content": "Ask"}
    return found | {
        "metadata": {key: value for key, value in head.items() if value != []},
        "title": title,
        "version": version.name,
        "digest": version.digest,
        "profile": kept_profile,
        "description": recipe.get("description") or "",
        "judging": _judges(recipe),
        "bases": _bases(recipe),
        "loads": [
            {"config": config["name"], "split": split["name"], "rows": split["rows"], "about": config["about"]}
            for config in described
            for split in config["splits"]
        ],
        "held_out": any(row["split"] == "holdout" for row in found["rows_by_split"]),
        "licence": head.get("license_name") or head["license"],
        "missing_types": figures.missing_types(found["rows_by_type"]),
        "withheld": withheld(kept_profile),
        "allowed": [{"check": name, "because": allowed[name]} for name in sorted(allowed)],
        "parent": version.manifest.parent,
        "changes": _changes(version, found),
    }


def model(version: Version, name: str) -> Facts:
    """Return what the template of a model card is filled with, and ``metadata``. Raises SeasDataError without one."""
    found = figures.gather(version, figures.MODEL)
    rows = [row for row in found["models"] if row["model"] == name]
    if not rows:
        known = ", ".join(row["model"] for row in found["models"]) or "none"
        raise SeasDataError(f"{version.name} knows no model {name}; it knows {known}")
    raise NotImplementedError


def withheld(kept_profile: Profile) -> list[dict[str, str]]:
    """Return the tables of which ``kept_profile`` leaves something out: table, what and because."""
    rules = ((table, profile.rule(table, kept_profile)) for table in profile.PUBLIC)
    return [
        {"table": table, "what": ", ".join(rule.empty) or "rows", "because": rule.because}
        for table, rule in rules
        if rule is not None
    ]


def _bases(recipe: Mapping[str, Any]) -> list[Facts]:
    """Return the models that the recipe's loop and judges run: part, model, revision and licence."""
    loop, models = recipe.get("loop") or {}, recipe.get("models") or {}
    named = {"red team": loop.get("red_team"), "target": loop.get("target")}
    parts = {part: player["model"] for part, player in named.items() if player}
    parts |= {f"judge {_name(judge)}": judge["model"] for judge in recipe.get("judges") or [] if "model" in judge}
    return [
        {"part": part, "model": models[name]["model"]} | {key: models[name].get(key) for key in ("revision", "licence")}
        for part, name in parts.items()
        if name in models
    ]


def _judges(recipe: Mapping[str, Any]) -> list[Facts]:
    """Return the recipe's judges: name, what they are, and which model they run."""
    kinds = {
        "guard": "safety classifier",
        "rules": "patterns in the text",
        "refusal": "model asked by the XSTest protocol",
    }
    return [
        {"judge": _name(judge), "kind": kinds.get(judge["by"], judge["by"]), "guard": judge.get("guard")}
        for judge in recipe.get("judges") or []
    ]


def _name(judge: Mapping[str, Any]) -> str:
    return str(judge.get("name") or judge.get("guard") or judge.get("by"))


def _title(recipe: Mapping[str, Any]) -> str:
    words = str(recipe.get("name", "dataset")).replace("-", " ")
    return words[:1].upper() + words[1:]


def _licence(names: list[str | None]) -> dict[str, str]:
    known = {name for name in names if name is not None}
    if len(known) == 1:
        return metadata.licence(known.pop())
    return metadata.licence(" and ".join(sorted(known)) if known else None)


def _annotators(found: figures.Figures) -> list[str]:
    sources = {row["label_source"] for row in found["label_sources"]}
    creators = ["found"] if "source" in sources else []
    if sources & {"classifier", "judge", "seed"} or found["judges"]:
        creators.append("machine-generated")
    if "manual" in sources or found["overview"][0]["decided_by_people"]:
        creators.append("expert-generated")
    return creators or ["no-annotation"]


def _changes(version: Version, found: figures.Figures) -> list[figures.Row]:
    """Return the kept prompts of each kind before and now; none where the parent is not in the workspace."""
    parent = version.manifest.parent
    if parent is None or parent not in version.workspace.versions():
        return []
    before = Version(version.workspace, version.workspace.manifest(parent))
    then = figures.gather(before, {"rows-by-kind": []})["rows_by_kind"]
    return figures.changes(then, found["rows_by_kind"], ("kind", "difficulty"), "kept")
