"""Push: a version, or a model, onto the Hub, so that nobody ever reads half of it or what they should not.

    checks -> folder -> repository (made private; gated first of all) -> what is there -> large files -> one commit
           -> every file looked at again -> tag -> public, if so asked -> published.json

Large files go first and are seen by nobody; what has arrived is not sent again, so the same command goes on where a
push was killed. One commit, made on the state that was looked at, brings everything into sight at once, and the tag
comes after it. A repository holds one profile: its history is public as soon as it is, and so would be what an earlier
push brought in another profile.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from seas_data.errors import SeasDataError
from seas_data.release import hub_plan, published
from seas_data.release.folder import checkout
from seas_data.release.hub_plan import Plan
from seas_data.release.profile import Profile
from seas_data.release.published import Published
from seas_data.release.remote import Remote, State, tag_taken
from seas_data.store import Manifest
from seas_data.version import Version

_BATCH = 64  # large files that are asked about and sent together


@dataclass(frozen=True)
class Wanted:
    """What to push where: the repository's name, the tag, who may see it, and which failed checks are let pass."""

    repository: str
    tag: str | None = None
    public: bool = False
    allowed: Mapping[str, str] | None = None
    """Check to reason."""
    dry_run: bool = False
    confirm: Callable[[str], bool] | None = None
    """Asks the person at the terminal; None where there is none."""


@dataclass(frozen=True)
class Pushed:
    """What a push did, or would do: the plan, and the commit (None in a dry run)."""

    plan: Plan
    commit: str | None
    url: str
    new: bool
    remark: str = ""


@dataclass(frozen=True)
class Load:
    """What is about to travel: a folder, how it is called in a commit, and how in ``published.json``."""

    folder: Path
    title: str
    message: str
    profile: str
    digest: str
    full_digest: str
    gated: bool


def push(version: Version, wanted: Wanted, profile: Profile = "public") -> Pushed:
    """Push ``version`` in ``profile``. Raises SeasDataError when a check fails, or the Hub cannot or will not."""
    allowed = dict(wanted.allowed or {})
    remote = Remote(wanted.repository)
    remote.state()  # whether it can be reached at all: the checks may take a while
    _require_checks(version, profile, allowed)
    with published.alone(version.workspace.root), place(version.workspace.root) as folder:
        manifest = checkout(version, folder, profile, allowed)
        state = remote.state()
        there = hub_plan.published(remote, state)
        _require_same_profile(there, profile, wanted.repository)
        title, message = hub_plan.message(manifest, there, profile, wanted.tag)
        load = Load(
            folder, title, message, profile, manifest.digest, manifest.full_digest or version.digest, profile == "gated"
        )
        tagged = state.tags.get(wanted.tag) if state and wanted.tag else None
        if tagged is not None and _digest_at(remote, state, tagged) != manifest.digest:
            raise SeasDataError(tag_taken(str(wanted.tag), wanted.repository))
        return deliver(version, remote, state, load, wanted)


def deliver(version: Version, remote: Remote, state: State | None, load: Load, wanted: Wanted) -> Pushed:
    """Bring ``load`` to the repository, as it was found in ``state``: see the head of this page."""
    plan = hub_plan.make(load.folder, remote, state)
    if state is not None and not state.private and not wanted.public:
        raise SeasDataError(
            f"{remote.name} is public: say so with --public if that is meant, or make it private in its settings first"
        )
    if wanted.dry_run:
        return Pushed(plan, None, remote.url, not plan.nothing)
    _ask(remote, state, plan, wanted)
    state = _open(remote, state, load.gated)
    commit = state.commit if plan.nothing else _upload(remote, state, plan, load)
    if wanted.tag:
        remote.tag(wanted.tag, state.tags.get(wanted.tag, commit))
    if wanted.public and state.private:
        remote.set_private(False)
    entry = Published(
        way="push",
        kind=remote.kind,
        repository=remote.name,
        tag=wanted.tag,
        commit=commit,
        version=version.name,
        profile=load.profile,
        digest=load.digest,
        full_digest=load.full_digest,
        public=wanted.public,
        at=published.now(),
    )
    published.record(version.workspace.root, entry)
    remark = f"{remote.name} holds all of this already; nothing was sent" if plan.nothing else ""
    return Pushed(plan, commit, remote.url, not plan.nothing, remark)


def _open(remote: Remote, state: State | None, gated: bool) -> State:
    """Make the repository if there is none, and gate it before anything is in it that needs a gate."""
    if state is None:
        remote.create()
    if gated and (state is None or not state.gated):
        remote.set_gated()
    if state is None:
        state = remote.state()
        if state is None:
            raise SeasDataError(f"{remote.name} was made and cannot be seen; check that your token may read it too")
    return state


def _upload(remote: Remote, state: State, plan: Plan, load: Load) -> str:
    """Send what is new, commit it, and look at every file again; return the commit."""
    places = sorted({**plan.new, **plan.changed})
    additions = [CommitOperationAdd(place, load.folder / place) for place in places]
    print(f"sending {len(places)} files, {plan.bytes / 1e6:,.1f} MB, to {remote.name}", file=sys.stderr)
    for start in range(0, len(additions), _BATCH):
        remote.upload(additions[start : start + _BATCH])
    commit = remote.commit(additions, plan.deleted, load.title, load.message, state.commit)
    there = remote.tree(commit)
    for place in (*places, *plan.same):
        if place not in there or not there[place].same_as(load.folder / place):
            raise SeasDataError(
                f"{remote.name} does not hold {place} as it was sent, so nothing was tagged: run the same command again"
            )
    return commit


def _ask(remote: Remote, state: State | None, plan: Plan, wanted: Wanted) -> None:
    if not wanted.public or wanted.confirm is None or (state is not None and not state.private):
        return
    more = f", with {len(plan.others)} files that others put there and all of its history" if plan.others else ""
    if not wanted.confirm(f"Everybody will be able to see {remote.name}{more}. Make it public?"):
        raise SeasDataError("nothing was pushed; without --public the repository is private")


def _require_checks(version: Version, profile: Profile, allowed: dict[str, str]) -> None:
    """Raise SeasDataError if a check fails that nobody allowed."""
    from seas_data.release import checks

    try:
        checks.refuse_unless_allowed(checks.run(version, profile, allowed=allowed), allowed)
    except SeasDataError as problem:
        raise SeasDataError(f"{version.name} was not pushed: {problem}") from None


def _require_same_profile(there: Manifest | None, profile: Profile, repository: str) -> None:
    if there is not None and there.profile not in (None, profile):
        raise SeasDataError(
            f"{repository} holds the {there.profile} profile, and its history would show it: push the {profile} "
            "profile to a repository of its own"
        )


def _digest_at(remote: Remote, state: State | None, commit: str) -> str | None:
    there = hub_plan.published(remote, state, commit)
    return there.digest if there else None


@contextmanager
def place(root: Path) -> Iterator[Path]:
    """Yield a folder of the workspace, not there yet, in which a release is made; remove it, and what a kill left."""
    outer = root / "push"
    shutil.rmtree(outer, ignore_errors=True)
    outer.mkdir(mode=0o700)
    try:
        yield outer / "release"
    finally:
        shutil.rmtree(outer, ignore_errors=True)
