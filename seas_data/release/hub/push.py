"""Push: upload a version, or a model, to the Hub in one commit, or in several if it has very many files.

    checks -> release folder -> repository (created private; gated first) -> plan -> large files -> commit
           -> verify every file -> tag -> make public if requested -> published.json

Large files are uploaded first and stay invisible until the commit. Files that were uploaded are not sent again, so an
interrupted push continues when the command is rerun. One commit on the state that was planned for makes everything
visible at once, and the tag follows, so a reader of a tag or of main never sees a partial version. If a release has
more than ``_CHANGES_PER_COMMIT`` files to send, earlier commits add shards, which no reader knows before the last
commit brings the manifest, the card and the data files; a push that was interrupted between two of them continues after
those that are there. A repository holds
one profile: when it is made public its whole history is, including what an earlier push of another profile contained.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release import publish_log
from seas_data.release.folder import checkout
from seas_data.release.hub import plan as push_plan
from seas_data.release.hub.errors import HubUnavailableError
from seas_data.release.hub.plan import PushPlan, RemoteState
from seas_data.release.hub.remote import Remote, RepositoryInfo, tag_conflict
from seas_data.release.publish_log import PublishLogEntry
from seas_data.release.visibility import Profile
from seas_data.store.workspace import require_tag_name
from seas_data.text import printable

_BATCH = 64  # large files in one upload request
_CHANGES_PER_COMMIT = 500


@dataclass(frozen=True)
class PushRequest:
    """What the caller asks for: the repository, the tag, whether it becomes public, and waivers of failed checks."""

    repository: str
    tag: str | None = None
    public: bool = False
    waivers: Mapping[str, str] | None = None
    """The reason for each check that may fail."""
    dry_run: bool = False
    confirm: Callable[[str], bool] | None = None
    """Ask the person at the terminal; None if there is no terminal."""
    show_release: Callable[[PushPlan], None] | None = None
    """Called in a dry run with the files of the release, before the Hub is asked."""


@dataclass(frozen=True)
class PushResult:
    """The result of a push: its plan, the commit (None for a dry run) and the address of the repository."""

    plan: PushPlan
    commit: str | None
    url: str
    not_asked: str | None = None
    """Why the Hub did not answer a dry run: then ``plan`` has the files of the release alone, all of them as new."""


@dataclass(frozen=True)
class Payload:
    """What is uploaded: a folder, the commit's title and message, and facts for the publish log."""

    folder: Path
    title: str
    message: str
    profile: str
    digest: str
    full_digest: str
    gated: bool
    waived: Mapping[str, str]
    """The reason for each waived check."""


def push(version: Version, request: PushRequest, profile: Profile = "public") -> PushResult:
    """Push ``version`` in ``profile``. Raises SeasDataError if a check fails or the Hub refuses.

    A dry run needs no Hub: it shows the release, and compares it with the repository if the Hub answers at once.
    """
    from seas_data.release import checks

    checks.require_names(request.waivers or {})
    require_tag(request)
    remote = Remote(request.repository)
    if not request.dry_run:
        remote.info()  # fail early if there is no access: the checks may take a while
    waived = _run_checks(version, profile, request.waivers or {})
    with publish_log.publish_lock(version.workspace.root), release_folder(version.workspace.root) as folder:
        manifest = checkout(version, folder, profile, waived, linked=True)

        def compare_and_deliver(info: RepositoryInfo | None) -> PushResult:
            state = push_plan.read_remote_state(remote, info)
            _require_same_profile(state, profile, request.repository)
            title, message = push_plan.commit_message(manifest, state.manifest, profile, request.tag)
            full_digest = manifest.full_digest or version.digest
            payload = Payload(folder, title, message, profile, manifest.digest, full_digest, profile == "gated", waived)
            tagged = info.tags.get(request.tag) if info and request.tag else None
            if tagged is not None:
                held = push_plan.read_manifest(remote, tagged, remote.tree(tagged))
                if held is None or held.digest != manifest.digest:
                    raise SeasDataError(tag_conflict(str(request.tag), request.repository))
            return deliver(version, remote, info, state, payload, request)

        return ask_hub(remote, folder, request, compare_and_deliver)


def ask_hub(
    remote: Remote, folder: Path, request: PushRequest, deliver_to: Callable[[RepositoryInfo | None], PushResult]
) -> PushResult:
    """Read the state of the repository and call ``deliver_to`` with it.

    In a dry run show the release in ``folder`` first, and ask once: without an answer, the release is the result.
    """
    if not request.dry_run:
        return deliver_to(remote.info())
    release = push_plan.make_plan(folder, remote, None, RemoteState())
    if request.show_release is not None:
        request.show_release(release)
    try:
        return deliver_to(remote.info(retry=False))
    except HubUnavailableError as problem:
        return PushResult(release, None, remote.url, str(problem))


def require_tag(request: PushRequest) -> None:
    """Raise SeasDataError if the tag is not a valid name: the Hub would refuse it only after the commit."""
    if request.tag is not None:
        require_tag_name(request.tag)


def deliver(
    version: Version,
    remote: Remote,
    info: RepositoryInfo | None,
    state: RemoteState,
    payload: Payload,
    request: PushRequest,
) -> PushResult:
    """Upload, commit and tag ``payload`` on the state ``info`` of the repository; record it in the publish log."""
    plan = push_plan.make_plan(payload.folder, remote, info, state)
    if info is not None:
        _require_visibility(remote, info, request)
    if request.dry_run:
        return PushResult(plan, None, remote.url)
    _confirm_public(remote, info, plan, request)
    info = _prepare_repository(remote, info, payload.gated, request)
    entry = PublishLogEntry(
        way="push",
        kind=remote.kind,
        repository=remote.name,
        tag=None,
        commit=info.commit,
        version=version.name,
        profile=payload.profile,
        digest=payload.digest,
        full_digest=payload.full_digest,
        public=not info.private,
        allowed=dict(payload.waived),
        at=publish_log.now(),
    )
    if not plan.is_empty:
        for commit in _commit(remote, info, plan, payload):
            entry = entry.model_copy(update={"commit": commit})
            publish_log.record(version.workspace.root, entry)  # at once: if a later step fails the commit still exists
        _verify_upload(remote, entry.commit, plan)
    tagged = entry.commit
    if request.tag:
        tagged = info.tags.get(request.tag, entry.commit)  # an existing tag is not moved
        remote.tag(request.tag, tagged)
    if request.public and info.private:
        remote.make_public()
    final = {"tag": request.tag, "commit": tagged, "public": request.public}
    publish_log.record(version.workspace.root, entry.model_copy(update=final))
    return PushResult(plan, entry.commit, remote.url)


def _require_visibility(remote: Remote, info: RepositoryInfo, request: PushRequest) -> None:
    if not info.private and not request.public:
        raise SeasDataError(f"{remote.name} is public; add --public, or make it private in its settings first")


def _prepare_repository(
    remote: Remote, info: RepositoryInfo | None, gated: bool, request: PushRequest
) -> RepositoryInfo:
    """Create the repository if it does not exist, and gate it before anything that needs a gate is uploaded.

    Then read its state again: others may have opened or changed it since the plan was made.
    """
    if info is None:
        remote.create()
    if gated and (info is None or not info.gated):
        remote.set_gated()
    now = remote.info()
    if now is None:
        raise SeasDataError(f"{remote.name} exists but cannot be read; use a token with read access to it")
    _require_visibility(remote, now, request)
    if gated and not now.gated:
        raise SeasDataError(f"{remote.name} is no longer gated; check its settings and rerun the command")
    if {*now.files} - {".gitattributes"} if info is None else now.commit != info.commit:
        raise SeasDataError(
            f"{remote.name} was changed in the meantime; rerun the command, which starts from its current state"
        )
    return now


def _commit(remote: Remote, info: RepositoryInfo, plan: PushPlan, payload: Payload) -> Iterator[str]:
    """Upload new and changed files and commit them; yield each commit, of which the last makes the release visible."""
    paths = sorted({**plan.new, **plan.changed})
    additions = [CommitOperationAdd(path, payload.folder / path) for path in paths]
    say(f"uploading {len(paths)} files ({plan.upload_bytes / 1e6:,.1f} MB) to {remote.name}")
    for each in additions:
        plan.local[each.path_in_repo].sha256 = each.upload_info.sha256.hex()
    first = {each.upload_info.sha256: each for each in reversed(additions)}
    repeated = [each for each in additions if first[each.upload_info.sha256] is not each]  # a shard that is a config
    for group in (list(first.values()), repeated):
        for start in range(0, len(group), _BATCH):
            remote.upload(group[start : start + _BATCH])
    *earlier, last = push_plan.split_commits(additions, _CHANGES_PER_COMMIT)
    commit = info.commit
    for number, shards in enumerate(earlier, 1):
        title = f"{payload.title}, part {number} of {len(earlier) + 1}"
        commit = remote.commit(shards, [], title, "Shards of the version that the last part commits.", commit)
        yield commit
    yield remote.commit(last, plan.deleted, payload.title, payload.message, commit)


def _verify_upload(remote: Remote, commit: str, plan: PushPlan) -> None:
    """Compare every file of the commit with the local one. Raises SeasDataError if one differs."""
    tree = remote.tree(commit)
    for path, file in plan.local.items():
        if path not in tree or not tree[path].matches(file):
            raise SeasDataError(f"{path} in {remote.name} differs from the local file; rerun the command to repair it")


def _confirm_public(remote: Remote, info: RepositoryInfo | None, plan: PushPlan, request: PushRequest) -> None:
    if not request.public or request.confirm is None or (info is not None and not info.private):
        return
    more = f", including {len(plan.unmanaged)} files of others and its whole history" if plan.unmanaged else ""
    if not request.confirm(f"Everybody will be able to read {remote.name}{more}. Make it public?"):
        raise SeasDataError("nothing was pushed; leave out --public to push to a private repository")


def _run_checks(version: Version, profile: Profile, waivers: Mapping[str, str]) -> dict[str, str]:
    """Return the waived checks with their reasons. Raises SeasDataError if a check fails that is not waived."""
    from seas_data.release import checks

    try:
        results = checks.run(version, profile, waivers=waivers)
        checks.require_passed(results, waivers)
    except SeasDataError as problem:
        raise SeasDataError(f"{version.name} was not pushed: {problem}") from None
    return checks.select_waived(results, waivers)


def _require_same_profile(state: RemoteState, profile: Profile, repository: str) -> None:
    held = state.manifest.profile if state.manifest else state.described[1] if state.described else None
    if held not in (None, profile):
        raise SeasDataError(
            f"{repository} holds the {printable(held)} profile, which its history would expose; push the {profile} "
            "profile to another repository"
        )


@contextmanager
def release_folder(root: Path) -> Iterator[Path]:
    """Yield the path of a new folder in the workspace to render a release in; delete it and leftovers of killed runs.

    The folder does not exist yet.
    """
    outer = root / "push"
    shutil.rmtree(outer, ignore_errors=True)
    outer.mkdir(mode=0o700)
    try:
        yield outer / "release"
    finally:
        shutil.rmtree(outer, ignore_errors=True)
