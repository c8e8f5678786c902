"""Push a model that the workspace trained: its checkpoint, its card and how it was trained, and nothing else.

A red team writes attacks: it is always gated, and public only where a person says why. A repository holds one model, in
whatever versions: its history becomes public with it, and must not hold a red team behind a target.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.query.version import Version
from seas_data.release import card
from seas_data.release.card import metadata
from seas_data.release.hub import plan as hub_plan
from seas_data.release.hub import publish_log as published
from seas_data.release.hub.push import Load, Pushed, Wanted, deliver, place, require_tag
from seas_data.release.hub.remote import Held, Local, Remote, tag_taken
from seas_data.release.privacy import redact as scrub
from seas_data.store import files
from seas_data.text import printable

RED_TEAM = "red-team-model"
LICENCES = "licences"


def push_model(version: Version, model: str, wanted: Wanted) -> Pushed:
    """Push ``model`` (R2, T3 ...) of ``version`` with its card.

    Raises SeasDataError if the version has none of that name, its files are not those that were trained, it is a red
    team that would be public or has a base without a licence and ``wanted.allowed`` has no reason, the repository
    holds another model, or the Hub cannot or will not.
    """
    named(wanted.allowed or {})
    require_tag(wanted)
    known = version.select("select role, digest, statement from checkpoints where model = $model", {"model": model})
    source = version.workspace.root / "models" / model
    if known.is_empty() or not source.is_dir():
        models = version.select("select model from checkpoints order by model")["model"].to_list()
        why = f" ({known['statement'][0]})" if known.height and known["statement"][0] else ""
        raise SeasDataError(
            f"{version.name} has no files of a model {printable(model)} in {source.parent}{printable(why)}; it knows "
            f"{printable(', '.join(models)) or 'no model'}"
        )
    role, digest, _ = known.row(0)
    if checkpoint.compute_digest(source) != digest:
        raise SeasDataError(f"{source} is not the {model} that {version.name} knows; its files were changed since")
    excused = _excused(version, model, role, wanted)
    with published.alone(version.workspace.root), place(version.workspace.root) as folder:
        _render(version, model, source, folder, excused)
        remote = Remote(wanted.repository, "model")
        title = f"{model} of {version.name}"
        load = Load(folder, title, f"Digest: {digest}", role, digest, version.digest, role == "red", excused)
        state = remote.state()
        found = hub_plan.there(remote, state)
        if found.about is not None and found.about[1] != card.model_name(model):
            raise SeasDataError(
                f"{wanted.repository} holds the model {printable(found.about[1])}, and its history would show it: push "
                f"{model} to a repository of its own"
            )
        tagged = state.tags.get(wanted.tag) if state and wanted.tag else None
        if tagged is not None and not _holds(remote.tree(tagged), folder):
            raise SeasDataError(tag_taken(str(wanted.tag), wanted.repository))
        return deliver(version, remote, state, found, load, wanted)


def named(allowed: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``allowed`` if each of its names can stand in a model's way. Raises SeasDataError for one that cannot."""
    names = (RED_TEAM, LICENCES)
    if strangers := sorted({*allowed} - {*names}):
        raise SeasDataError(f"{printable(strangers[0])} stops no model; what does is {' and '.join(names)}")
    return allowed


def _excused(version: Version, model: str, role: str, wanted: Wanted) -> dict[str, str]:
    """Return what stands in the model's way, and why it may. Raises SeasDataError where nobody said why."""
    allowed = wanted.allowed or {}
    in_its_way = {}
    if role == "red" and wanted.public:
        in_its_way[RED_TEAM] = (
            f'{model} is a red team: it writes attacks, so it is public only with --allow {RED_TEAM} --because "..."; '
            "without --public it is pushed private and gated"
        )
    about, _ = metadata.split(card.model_card(version, model))
    if about.get("license") == "unknown":
        in_its_way[LICENCES] = (
            f"no one licence is known of the base of {model}, and it binds {model} too: state it in the recipe "
            f'(models.NAME.licence) and build that again, or say why not with --allow {LICENCES} --because "..."'
        )
    for name, sentence in in_its_way.items():
        if not allowed.get(name, "").strip():
            raise SeasDataError(sentence)
    return {name: allowed[name] for name in in_its_way}


def _render(version: Version, model: str, source: Path, folder: Path, excused: dict[str, str]) -> None:
    """Write what is pushed: the checkpoint's own files, not what a training keeps beside them to go on from."""
    folder.mkdir(mode=0o700)
    for pattern in checkpoint.FILE_PATTERNS:
        for path in source.glob(pattern):
            if path.is_file() and not (folder / path.name).exists():
                files.link(path.resolve(), folder / path.name)
    if (source / hub_plan.TRAINING).is_file():
        settings = scrub.recipe(json.loads((source / hub_plan.TRAINING).read_bytes()))
        files.write_text(folder / hub_plan.TRAINING, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    files.write_text(folder / hub_plan.CARD, card.model_card(version, model, excused))


def _holds(tree: dict[str, Held], folder: Path) -> bool:
    """Return whether a commit has the files of ``folder``; of the card, which is shared, whether there is one."""
    here = [path for path in folder.iterdir() if path.name != hub_plan.CARD]
    return hub_plan.CARD in tree and all(path.name in tree and tree[path.name].same_as(Local(path)) for path in here)
