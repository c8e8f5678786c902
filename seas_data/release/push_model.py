"""Push a model that the workspace trained: its checkpoint, its card and how it was trained, and nothing else.

A red team writes attacks: it is always gated, and public only where a person says why.
"""

import json
import os
import shutil
from pathlib import Path

from seas_data import files
from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.release import hub_plan, published, scrub
from seas_data.release.push import Load, Pushed, Wanted, deliver, place
from seas_data.release.remote import Held, Remote, tag_taken
from seas_data.version import Version

RED_TEAM = "red-team-model"
_TRAINING = "training.json"


def push_model(version: Version, model: str, wanted: Wanted) -> Pushed:
    """Push ``model`` (R2, T3 ...) of ``version`` with its card.

    Raises SeasDataError if the version has none of that name, its files are not those that were trained, it is a red
    team that would be public without a reason in ``wanted.allowed``, or the Hub cannot or will not.
    """
    known = version.select("select role, digest, statement from checkpoints where model = $model", {"model": model})
    source = version.workspace.root / "models" / model
    if known.is_empty() or not source.is_dir():
        models = version.select("select model from checkpoints order by model")["model"].to_list()
        why = f" ({known['statement'][0]})" if known.height and known["statement"][0] else ""
        raise SeasDataError(
            f"{version.name} has no files of a model {model} in {source.parent}{why}; it knows "
            f"{', '.join(models) or 'no model'}"
        )
    role, digest, _ = known.row(0)
    if checkpoint.digest(source) != digest:
        raise SeasDataError(f"{source} is not the {model} that {version.name} knows; its files were changed since")
    if role == "red" and wanted.public and not (wanted.allowed or {}).get(RED_TEAM):
        raise SeasDataError(
            f'{model} is a red team: it writes attacks, so it is public only with --allow {RED_TEAM} --because "..."; '
            "without --public it is pushed private and gated"
        )
    with published.alone(version.workspace.root), place(version.workspace.root) as folder:
        _render(version, model, source, folder)
        remote = Remote(wanted.repository, "model")
        load = Load(
            folder, f"{model} of {version.name}", f"Digest: {digest}", role, digest, version.digest, role == "red"
        )
        state = remote.state()
        tagged = state.tags.get(wanted.tag) if state and wanted.tag else None
        if tagged is not None and not _holds(remote.tree(tagged), folder):
            raise SeasDataError(tag_taken(str(wanted.tag), wanted.repository))
        return deliver(version, remote, state, load, wanted)


def _render(version: Version, model: str, source: Path, folder: Path) -> None:
    """Write what is pushed: the checkpoint's own files, not what a training keeps beside them to go on from."""
    from seas_data.release import card

    folder.mkdir(mode=0o700)
    for pattern in checkpoint.PARTS:
        for path in source.glob(pattern):
            if path.is_file() and not (folder / path.name).exists():
                _link(path.resolve(), folder / path.name)
    if (source / _TRAINING).is_file():
        settings = scrub.recipe(json.loads((source / _TRAINING).read_bytes()))
        files.write_text(folder / _TRAINING, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    files.write_text(folder / hub_plan.CARD, card.model_card(version, model))


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, target)


def _holds(tree: dict[str, Held], folder: Path) -> bool:
    """Return whether a commit has the files of ``folder``; of the card, which is shared, whether there is one."""
    here = [path for path in folder.iterdir() if path.name != hub_plan.CARD]
    return hub_plan.CARD in tree and all(path.name in tree and tree[path.name].same_as(path) for path in here)
