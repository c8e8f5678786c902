"""Push a trained model: its checkpoint, its card and its training settings.

A red team writes attacks, so its repository is always gated, and public only with a reason. A repository holds one
model, in any number of versions: its history becomes public with it, and must not contain a red team behind a target.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.query.version import Version
from seas_data.redact import redact_recipe
from seas_data.release import card
from seas_data.release.card import metadata
from seas_data.release.hub import plan as push_plan
from seas_data.release.hub.push import Payload, PushRequest, PushResult, ask_hub, deliver, release_folder, require_tag
from seas_data.release.hub.remote import LocalFile, Remote, RemoteFile, RepositoryInfo, tag_conflict
from seas_data.release.publish_log import publish_lock
from seas_data.store import files
from seas_data.text import printable

RED_TEAM = "red-team-model"
LICENCES = "licences"
CHECKS = (RED_TEAM, LICENCES)
"""The checks of a model, which ``--allow`` can waive."""


def push_model(version: Version, model: str, request: PushRequest) -> PushResult:
    """Push ``model`` (R2, T3 ...) of ``version`` with its card.

    Raises SeasDataError if the version has no such model, its files have changed since the training, a check of
    ``CHECKS`` fails without a waiver, the repository holds another model, or the Hub refuses.
    """
    require_names(request.waivers or {})
    require_tag(request)
    row = version.select("select role, digest, statement from checkpoints where model = $model", {"model": model})
    source = checkpoint.model_path(version.workspace.root / "models", model)
    if row.is_empty() or not source.is_dir():
        models = version.select("select model from checkpoints order by model")["model"].to_list()
        why = f" ({row['statement'][0]})" if row.height and row["statement"][0] else ""
        raise SeasDataError(
            f"{version.name} has no files of a model {printable(model)} in {source.parent}{printable(why)}; its models "
            f"are: {printable(', '.join(models)) or 'none'}"
        )
    role, digest, _ = row.row(0)
    if checkpoint.compute_digest(source) != digest:
        raise SeasDataError(f"{source} has changed since {model} of {version.name} was trained; restore its files")
    text = card.model_card(version, model)
    waived = _run_checks(model, role, request, text)
    if waived:
        text = card.model_card(version, model, waived)
    with publish_lock(version.workspace.root), release_folder(version.workspace.root) as folder:
        _write(source, folder, text)
        remote = Remote(request.repository, "model")
        title = f"{model} of {version.name}"
        payload = Payload(folder, title, f"Digest: {digest}", role, digest, version.digest, role == "red", waived)

        def compare_and_deliver(info: RepositoryInfo | None) -> PushResult:
            state = push_plan.read_remote_state(remote, info)
            if state.described is not None and state.described[1] != card.model_name(model):
                raise SeasDataError(
                    f"{request.repository} holds the model {printable(state.described[1])}, which its history would "
                    f"expose; push {model} to another repository"
                )
            tagged = info.tags.get(request.tag) if info and request.tag else None
            if tagged is not None and not _holds(remote.tree(tagged), folder):
                raise SeasDataError(tag_conflict(str(request.tag), request.repository))
            return deliver(version, remote, info, state, payload, request)

        return ask_hub(remote, folder, request, compare_and_deliver)


def require_names(waivers: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``waivers`` if each of its keys is a check of models. Raises SeasDataError otherwise."""
    if unknown := sorted({*waivers} - {*CHECKS}):
        raise SeasDataError(f"models have no check {printable(unknown[0])}; choose one of: {', '.join(CHECKS)}")
    return waivers


def _run_checks(model: str, role: str, request: PushRequest, text: str) -> dict[str, str]:
    """Return the checks that fail, with the reasons for waiving them. Raises SeasDataError if a reason is missing.

    ``text``: the model's card.
    """
    waivers = request.waivers or {}
    failed = {}
    if role == "red" and request.public:
        failed[RED_TEAM] = (
            f"{model} is a red team, which writes attacks; to make it public give a reason with --allow {RED_TEAM} "
            '--because "REASON", or leave out --public'
        )
    head, _ = metadata.split(text)
    if head.get("license") == "unknown":
        failed[LICENCES] = (
            f"no single licence is known for the base model of {model}, and it binds {model} too; state it in the "
            f'recipe (models.NAME.licence) and build again, or waive it with --allow {LICENCES} --because "REASON"'
        )
    for name, message in failed.items():
        if not waivers.get(name, "").strip():
            raise SeasDataError(message)
    return {name: waivers[name] for name in failed}


def _write(source: Path, folder: Path, text: str) -> None:
    """Write the files to push: the card, and those of the checkpoint without what the training keeps to resume from."""
    folder.mkdir(mode=0o700)
    for pattern in checkpoint.FILE_PATTERNS:
        for path in source.glob(pattern):
            if path.is_file() and not (folder / path.name).exists():
                files.link_or_copy(path.resolve(), folder / path.name)
    if (source / push_plan.TRAINING).is_file():
        settings = redact_recipe(json.loads((source / push_plan.TRAINING).read_bytes()))
        files.write_text(folder / push_plan.TRAINING, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    files.write_text(folder / push_plan.CARD, text)


def _holds(tree: dict[str, RemoteFile], folder: Path) -> bool:
    """Return whether a commit has the files of ``folder``; the content of the card, which is shared, may differ."""
    local = [path for path in folder.iterdir() if path.name != push_plan.CARD]
    return push_plan.CARD in tree and all(
        path.name in tree and tree[path.name].matches(LocalFile(path)) for path in local
    )
