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
from seas_data.query.version import Version
from seas_data.release.folder import checkout
from seas_data.release.hub import plan as hub_plan
from seas_data.release.hub import publish_log as published
from seas_data.release.hub.plan import Plan, There
from seas_data.release.hub.publish_log import Published
from seas_data.release.hub.remote import Remote, State, tag_taken
from seas_data.release.visibility import Profile
from seas_data.store.workspace import require_tag_name
from seas_data.text import printable

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
    allowed: Mapping[str, str]
    """What a person let pass that would have stopped it, and why."""


def push(version: Version, wanted: Wanted, profile: Profile = "public") -> Pushed:
    """Push ``version`` in ``profile``. Raises SeasDataError when a check fails, or the Hub cannot or will not."""
    from seas_data.release import checks

    checks.require_names(wanted.allowed or {})
    require_tag(wanted)
    remote = Remote(wanted.repository)
    remote.state()  # whether it can be reached at all: the checks may take a while
    allowed = _excused(version, profile, wanted.allowed or {})
    with published.alone(version.workspace.root), place(version.workspace.root) as folder:
        manifest = checkout(version, folder, profile, allowed, linked=True)
        state = remote.state()
        found = hub_plan.there(remote, state)
        _require_same_profile(found, profile, wanted.repository)
        title, message = hub_plan.message(manifest, found.manifest, profile, wanted.tag)
        full_digest = manifest.full_digest or version.digest
        load = Load(folder, title, message, profile, manifest.digest, full_digest, profile == "gated", allowed)
        tagged = state.tags.get(wanted.tag) if state and wanted.tag else None
        if tagged is not None:
            held = hub_plan.manifest_at(remote, tagged, remote.tree(tagged))
            if held is None or held.digest != manifest.digest:
                raise SeasDataError(tag_taken(str(wanted.tag), wanted.repository))
        return deliver(version, remote, state, found, load, wanted)


def require_tag(wanted: Wanted) -> None:
    """Raise SeasDataError if what was pushed cannot be called by the tag: the Hub would say so after the commit."""
    if wanted.tag is not None:
        require_tag_name(wanted.tag)


def deliver(version: Version, remote: Remote, state: State | None, found: There, load: Load, wanted: Wanted) -> Pushed:
    """Bring ``load`` to the repository, as it was found in ``state``: see the head of this page."""
    plan = hub_plan.make(load.folder, remote, state, found)
    if state is not None:
        _require_hidden(remote, state, wanted)
    if wanted.dry_run:
        return Pushed(plan, None, remote.url)
    _ask(remote, state, plan, wanted)
    state = _open(remote, state, load.gated, wanted)
    entry = Published(
        way="push",
        kind=remote.kind,
        repository=remote.name,
        tag=None,
        commit=state.commit,
        version=version.name,
        profile=load.profile,
        digest=load.digest,
        full_digest=load.full_digest,
        public=not state.private,
        allowed=dict(load.allowed),
        at=published.now(),
    )
    if not plan.nothing:
        entry = entry.model_copy(update={"commit": _commit(remote, state, plan, load)})
        published.record(version.workspace.root, entry)  # whatever comes between now and the tag, it is there
        _require_arrived(remote, entry.commit, plan)
    tagged = entry.commit
    if wanted.tag:
        tagged = state.tags.get(wanted.tag, entry.commit)  # a tag that stands stays where it is
        remote.tag(wanted.tag, tagged)
    if wanted.public and state.private:
        remote.make_public()
    told = {"tag": wanted.tag, "commit": tagged, "public": wanted.public}
    published.record(version.workspace.root, entry.model_copy(update=told))
    return Pushed(plan, entry.commit, remote.url)


def _require_hidden(remote: Remote, state: State, wanted: Wanted) -> None:
    if not state.private and not wanted.public:
        raise SeasDataError(
            f"{remote.name} is public: say so with --public if that is meant, or make it private in its settings first"
        )


def _open(remote: Remote, state: State | None, gated: bool, wanted: Wanted) -> State:
    """Make the repository if there is none, and gate it before anything is in it that needs a gate.

    Then look again: planning, and a person who is asked, take time in which others may open or change it.
    """
    if state is None:
        remote.create()
    if gated and (state is None or not state.gated):
        remote.set_gated()
    now = remote.state()
    if now is None:
        raise SeasDataError(f"{remote.name} is there and cannot be seen; check that your token may read it too")
    _require_hidden(remote, now, wanted)
    if gated and not now.gated:
        raise SeasDataError(f"{remote.name} was gated and is not: see its settings, and run the same command again")
    if {*now.files} - {".gitattributes"} if state is None else now.commit != state.commit:
        raise SeasDataError(
            f"{remote.name} was changed by somebody in the meantime: run the same command again, which starts from "
            "what is there now"
        )
    return now


def _commit(remote: Remote, state: State, plan: Plan, load: Load) -> str:
    """Send what is new, commit it, and return the commit."""
    places = sorted({**plan.new, **plan.changed})
    additions = [CommitOperationAdd(place, load.folder / place) for place in places]
    print(f"sending {len(places)} files, {plan.bytes / 1e6:,.1f} MB, to {remote.name}", file=sys.stderr)
    firsts = {each.upload_info.sha256: each for each in reversed(additions)}
    again = [each for each in additions if firsts[each.upload_info.sha256] is not each]  # a shard that is a config, too
    for group in (list(firsts.values()), again):
        for start in range(0, len(group), _BATCH):
            remote.upload(group[start : start + _BATCH])
    return remote.commit(additions, plan.deleted, load.title, load.message, state.commit)


def _require_arrived(remote: Remote, commit: str, plan: Plan) -> None:
    """Look at every file of the commit. Raises SeasDataError if one is not as it is here."""
    there = remote.tree(commit)
    for place, file in plan.local.items():
        if place not in there or not there[place].same_as(file):
            raise SeasDataError(
                f"{remote.name} does not hold {place} as it was sent, so nothing was tagged: run the same command again"
            )


def _ask(remote: Remote, state: State | None, plan: Plan, wanted: Wanted) -> None:
    if not wanted.public or wanted.confirm is None or (state is not None and not state.private):
        return
    more = f", with {len(plan.others)} files that others put there and all of its history" if plan.others else ""
    if not wanted.confirm(f"Everybody will be able to see {remote.name}{more}. Make it public?"):
        raise SeasDataError("nothing was pushed; without --public the repository is private")


def _excused(version: Version, profile: Profile, allowed: Mapping[str, str]) -> dict[str, str]:
    """Return the checks that fail and why they may. Raises SeasDataError if one fails that nobody allowed."""
    from seas_data.release import checks

    try:
        found = checks.run(version, profile, waivers=allowed)
        checks.require_passed(found, allowed)
    except SeasDataError as problem:
        raise SeasDataError(f"{version.name} was not pushed: {problem}") from None
    return checks.select_waived(found, allowed)


def _require_same_profile(found: There, profile: Profile, repository: str) -> None:
    held = found.manifest.profile if found.manifest else found.about[1] if found.about else None
    if held not in (None, profile):
        raise SeasDataError(
            f"{repository} holds the {printable(held)} profile, and its history would show it: push the {profile} "
            "profile to a repository of its own"
        )


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
