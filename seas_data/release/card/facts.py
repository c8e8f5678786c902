"""What a card's template is filled with: the version, its recipe, its licence, its files and its figures."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release import licences, recipes
from seas_data.release import visibility as profile
from seas_data.release.card import answers, metadata, pictures
from seas_data.release.card import configs as card_configs
from seas_data.release.card.markdown import line, sentence
from seas_data.release.recipes import Said
from seas_data.release.visibility import Profile

Facts = dict[str, Any]

_TAGS = ["safety", "red-teaming", "adversarial-prompts", "over-refusal", "jailbreak", "not-for-all-audiences"]
_LOOP_TAGS = ["preference-data", "self-evolving"]
_PAPER_TAG = f"arxiv:{metadata.ARXIV}"  # the Hub makes it of the link in the text; given here for who reads no text

_FORM: Facts = {
    "Name": "text",
    "Affiliation": "text",
    "Country": "country",
    "What I will use it for": {"type": "select", "options": ["Safety training", "Safety evaluation", "Other research"]},
    "I will use it to make models safer and not to attack systems that are not mine": "checkbox",
    "I will not pass it on to people who have not agreed to this": "checkbox",
}
_GATES = {
    "dataset": "This set holds attacks on language models and harmful text that models wrote in answer to them. It is "
    "for people who make models safer. Say who you are and what you will use it for; a person reads every request.",
    "model": "This model writes attacks on language models. It is for people who make models safer. Say who you are "
    "and what you will use it for; a person reads every request.",
}
_KINDS = {"guard": "safety classifier", "rules": "patterns in the text", "refusal": "model, by the XSTest protocol"}
_TRAININGS = {"red_sft": "R0, at the start", "target_sft": "T0, at the start", "red": "red teams", "target": "targets"}


def dataset(version: Version, kept_profile: Profile, allowed: Mapping[str, str]) -> Facts:
    """Return what the template of the dataset card is filled with, and ``metadata``."""
    found = _known(version, answers.gather(version, answers.DATASET))
    recipe, played = recipes.of(version.manifest), recipes.played(version)
    size = found["overview"][0] if found["overview"] else {}
    described = card_configs.describe(version, kept_profile)
    followed = licences.of(version, kept_profile)
    licence = metadata.licence(followed.licence.id if followed.licence else None)
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
        "configs": card_configs.listed(described),
        "dataset_info": card_configs.dataset_info(described),
    }
    if kept_profile == "gated":
        head |= _gate("dataset")
    return found | {
        "metadata": {key: value for key, value in head.items() if value != []},
        "size": size,
        "profile": kept_profile,
        "licence": followed.licence.id if followed.licence else None,
        "unlicensed": sorted({name for _, names in followed.faults for name in names}),
        "outputs": _outputs(followed.parts),
        "missing_types": answers.missing_types(found["rows_by_type"]),
        "withheld": _withheld(kept_profile),
        "configs": described,
        "judges": _judges(played, found["judges"]),
        "bases": _bases(played),
        "training": _training(played) if found["models"] else [],
        "course": bool(pictures.courses(found["target_sets"])),
        "allowed": [{"check": name, "because": allowed[name]} for name in sorted(allowed)],
        **_changes(version, found),
        **_about(version, recipe),
    }


def model(version: Version, name: str) -> Facts:
    """Return what the template of a model card is filled with, and ``metadata``.

    Raises SeasDataError when the version knows no model of that name.
    """
    found = _known(version, answers.gather(version, answers.MODEL))
    rows = [row for row in found["models"] if row["model"] == name]
    if not rows:
        known = ", ".join(row["model"] for row in found["models"]) or "none"
        raise SeasDataError(f"{version.name} knows no model {name}; it knows {known}")
    row = rows[0]
    recipe = recipes.of(version.manifest)
    last, part = max(row["iteration"], 1), "red team" if row["role"] == "red" else "target"
    played = recipes.played(version)
    # It was trained from the model before it, and that in turn: so on what every recipe until then called the base.
    until = {k: each for k, each in played.items() if k <= last} or {last: recipe}
    bases = [each for each in _bases(until) if each["part"].startswith(part)]
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
        "judges": _judges(played, found["judges"]),
        **_about(version, recipe),
    }


def _known(version: Version, found: answers.Figures) -> answers.Figures:
    """Return the figures, less those that a release which was pulled cannot give: it lacks the rows that they count."""
    if not any(each.table in ("pairs", "demonstrations") for each in version.manifest.withheld):
        return found
    rows = {name: [dict(row) for row in told] for name, told in found.items()}
    for row in rows.get("iterations", []):
        row |= dict.fromkeys(_COUNTS_OF_PAIRS, "withheld")
    for row in rows.get("leaks", []):
        row |= {"rows": "withheld"} if row["leak"] in _LEAKS_INTO_PAIRS else {}
    if "pairs_by_role" in rows:
        rows["pairs_by_role"] = [row for row in rows["pairs_by_role"] if row["role"] == "red"]
    return rows


_COUNTS_OF_PAIRS = ("target_pairs", "harmless_pairs", "general_pairs")
_LEAKS_INTO_PAIRS = (
    "test prompts in pairs, demonstrations or training seeds",
    "prompts of the over-refusal test there",
    "prompts of held-out sets there",
)


def _about(version: Version, recipe: Said) -> Facts:
    return {
        "title": _title(recipe),
        "description": sentence(recipe.description) if recipe.description else "",
        "version": version.name,
        "digest": version.manifest.full_digest or version.digest,
        "parent": version.manifest.parent,
    }


def _gate(what: str) -> Facts:
    return {
        "extra_gated_prompt": _GATES[what],
        "extra_gated_fields": _FORM,
        "extra_gated_button_content": "Ask for access",
    }


def _withheld(kept_profile: Profile) -> list[Facts]:
    """Return the tables of which the profile leaves something out: table, what and because."""
    rules = ((table, profile.rule(table, kept_profile)) for table in profile.PUBLIC)
    return [
        {"table": table, "what": ", ".join(rule.empty) or "rows", "because": rule.because}
        for table, rule in rules
        if rule is not None
    ]


def _bases(played: Mapping[int, Said]) -> list[Facts]:
    """Return the models that play, judge and reward: part, model, revision and licence."""
    found = []
    for iteration, recipe in played.items():
        parts = {"red team": recipe.player("red"), "target": recipe.player("target")}
        parts |= {f"judge {judge.label}": judge.model for judge in recipe.judges if judge.model is not None}
        parts |= {} if recipe.reward is None else {"reward": recipe.reward}
        found += [
            (iteration, {"part": part, **recipe.models[name].model_dump()})
            for part, name in parts.items()
            if name in recipe.models
        ]
    return _once(found, "part")


def _judges(played: Mapping[int, Said], found: list[answers.Row]) -> list[Facts]:
    """Return what each judge said, with what kind of judge it is."""
    kinds: dict[str, list[str]] = {}
    for judge in (each for recipe in played.values() for each in recipe.judges):
        kinds.setdefault(judge.label, []).append(judge.guard or _KINDS.get(judge.by, judge.by))
    return [row | {"kind": ", ".join(dict.fromkeys(kinds.get(row["judge"], []))) or None} for row in found]


def _training(played: Mapping[int, Said]) -> list[Facts]:
    """Return the settings of each of the loop's trainings."""
    found = []
    for stage, of in _TRAININGS.items():
        for iteration, recipe in played.items():
            settings = recipe.training.get(stage)
            if settings is None or (stage.endswith("_sft") and iteration != min(played)):
                continue
            told: Facts = {"stage": stage, "of": of, "loss": ", ".join(settings.loss)}
            told |= {key: getattr(settings, key) for key in ("learning_rate", "batch", "epochs", "beta")}
            told["weights"] = f"LoRA of rank {settings.lora.rank}" if settings.lora else "all"
            found.append((iteration, told))
    return _once(found, "of")


def _once(found: Iterable[tuple[int, Facts]], key: str) -> list[Facts]:
    """Return the rows of all iterations, each once; where those of a ``key`` differ, it says of which they are."""
    rows: list[tuple[Facts, list[int]]] = []
    for iteration, row in found:
        same = next((numbers for known, numbers in rows if known == row), None)
        if same is None:
            rows.append((row, [iteration]))
        else:
            same.append(iteration)
    counts = Counter(row[key] for row, _ in rows)
    return [
        row | ({key: f"{row[key]}, iteration {_span(numbers)}"} if counts[row[key]] > 1 else {})
        for row, numbers in sorted(rows, key=lambda each: list(counts).index(each[0][key]))
    ]


def _span(numbers: list[int]) -> str:
    whole = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers))


def _title(recipe: Said) -> str:
    words = recipe.name.replace("-", " ")
    return line(words[:1].upper() + words[1:])


def _outputs(parts: Iterable[licences.Part]) -> list[Facts]:
    """Return what the licences of models say of what they wrote: part, licence and says (the package's own words)."""
    return [
        {"part": part.name, "licence": part.known.id, "says": Markup(part.known.outputs)}
        for part in parts
        if part.known is not None and part.known.outputs
    ]


def _annotators(found: answers.Figures, size: Facts) -> list[str]:
    sources = {row["label_source"] for row in found["label_sources"]}
    creators = ["found"] if "source" in sources else []
    if sources & {"classifier", "judge", "seed"} or found["judges"]:
        creators.append("machine-generated")
    if size.get("manual_decisions"):
        creators.append("expert-generated")
    return creators or ["no-annotation"]


def _changes(version: Version, found: answers.Figures) -> Facts:
    """Return how the kept prompts and the drops differ from the parent; nothing where it is not in the workspace."""
    parent = version.manifest.parent
    if parent is None or parent not in version.workspace.versions():
        return {"changed_kinds": [], "changed_drops": []}
    before = Version(version.workspace, version.workspace.manifest(parent))
    then = answers.gather(before, {"rows-by-kind": [], "drop-reasons": []})
    kinds = answers.changes(then["rows_by_kind"], found["rows_by_kind"], ("kind", "difficulty"), "kept")
    drops = answers.changes(then["drop_reasons"], found["drop_reasons"], ("reason",), "prompts")
    return {"changed_kinds": kinds, "changed_drops": drops}
