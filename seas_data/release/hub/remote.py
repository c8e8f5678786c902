"""One repository on the Hub: what it holds, and the few things that a push does to it.

Every method speaks in ``hub.speaking`` sentences. Reading and setting are repeated while the Hub is busy; a commit is
made once, on the state that it was planned for, so that nothing of anybody's is written over unseen.
"""

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, errors
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]

from seas_data.errors import SeasDataError
from seas_data.release.hub import errors as hub
from seas_data.release.hub.errors import Kind, patiently, speaking
from seas_data.store import files
from seas_data.text import printable


class Local:
    """A file here that is to be there: it is read once for its hashes, however often it is compared."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def size(self) -> int:
        """Its size in bytes."""
        return self.path.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of its bytes."""
        return files.sha256(self.path)

    @cached_property
    def git_id(self) -> str:
        """The name that git gives its bytes."""
        content = self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Held:
    """A file there: its size, and the SHA-256 of a large one or the git id of another."""

    size: int
    sha256: str | None
    git_id: str

    def same_as(self, local: Local) -> bool:
        """Return whether the file here has the same bytes."""
        if local.size != self.size:
            return False
        return local.sha256 == self.sha256 if self.sha256 else local.git_id == self.git_id


@dataclass(frozen=True)
class State:
    """What the repository holds at a commit of main, who may see it, and its tags (name to commit).

    ``gated``: whether who asks for access is let in by hand; where everybody who asks is let in, there is no gate.
    """

    commit: str
    files: dict[str, Held]
    private: bool
    gated: bool
    tags: dict[str, str]


class Remote:
    """A repository of the Hub, which need not exist yet. Raises SeasDataError if ``name`` cannot be one's."""

    def __init__(self, name: str, kind: Kind = "dataset"):
        with speaking(name, kind):
            validate_repo_id(name)
            if "/" not in name:
                raise errors.HFValidationError
        self.name = name
        self.kind: Kind = kind
        self._api = HfApi(library_name="seas-data")
        if not sys.stderr.isatty():
            disable_progress_bars()

    @property
    def url(self) -> str:
        """Where people look at it."""
        return f"{self._api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"

    def state(self) -> State | None:
        """Return what it holds now; None if there is no such repository, or not for us to see."""
        with speaking(self.name, self.kind):
            try:
                about = patiently(lambda: self._api.repo_info(self.name, repo_type=self.kind, revision="main"))
            except errors.GatedRepoError:
                raise
            except errors.RepositoryNotFoundError as problem:
                if problem.response.status_code == 401 and "credentials" in (problem.server_message or ""):
                    raise
                return None
        commit = str(about.sha)
        return State(commit, self.tree(commit), bool(about.private), about.gated == "manual", self.tags())

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        with speaking(self.name, self.kind):
            refs = patiently(lambda: self._api.list_repo_refs(self.name, repo_type=self.kind))
        return {ref.name: ref.target_commit for ref in refs.tags}

    def tree(self, commit: str) -> dict[str, Held]:
        """Return the files at ``commit``."""

        def listed() -> dict[str, Held]:
            entries = self._api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type=self.kind)
            return {
                entry.path: Held(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
                for entry in entries
                if isinstance(entry, RepoFile)
            }

        with speaking(self.name, self.kind):
            return patiently(listed)

    def commit_of(self, revision: str | None) -> str:
        """Return the commit that a tag, branch or commit stands for; None is the newest of main."""
        with speaking(self.name, self.kind):
            try:
                about = patiently(lambda: self._api.repo_info(self.name, repo_type=self.kind, revision=revision))
            except errors.RevisionNotFoundError:
                there = ", ".join(sorted(self.tags())[-10:]) or "no tags"
                raise SeasDataError(
                    f"the {self.kind} {self.name} has no tag, branch or commit {printable(str(revision))}; "
                    f"it has {printable(there)}"
                ) from None
        return str(about.sha)

    def read(self, path: str, commit: str) -> bytes:
        """Return the content of a small file at ``commit``."""
        with tempfile.TemporaryDirectory() as folder, speaking(self.name, self.kind):

            def fetched() -> str:
                return self._api.hf_hub_download(
                    self.name, path, repo_type=self.kind, revision=commit, local_dir=folder
                )

            return Path(patiently(fetched)).read_bytes()

    def fetch_all(self, places: Sequence[str], commit: str, folder: Path) -> None:
        """Download the files ``places`` at ``commit`` below ``folder``, several at once, from where that broke off."""

        def fetched() -> None:
            self._api.snapshot_download(
                self.name, repo_type=self.kind, revision=commit, local_dir=folder, allow_patterns=list(places)
            )

        with speaking(self.name, self.kind):
            patiently(fetched)

    def create(self) -> None:
        """Make it: private, whatever it becomes later."""
        with speaking(self.name, self.kind):
            patiently(lambda: self._api.create_repo(self.name, repo_type=self.kind, private=True, exist_ok=True))

    def set_gated(self) -> None:
        """Gate it: who asks for access is let in by hand."""
        with speaking(self.name, self.kind):
            patiently(lambda: self._api.update_repo_settings(self.name, repo_type=self.kind, gated="manual"))

    def make_public(self) -> None:
        """Show it to everybody."""
        with speaking(self.name, self.kind):
            patiently(lambda: self._api.update_repo_settings(self.name, repo_type=self.kind, private=False))

    def upload(self, additions: Sequence[CommitOperationAdd]) -> None:
        """Send the contents of large files, those that the Hub does not have; nobody sees them before the commit."""
        with speaking(self.name, self.kind):
            self._api.preupload_lfs_files(self.name, additions, repo_type=self.kind, free_memory=False)

    def commit(
        self,
        additions: Sequence[CommitOperationAdd],
        deleted: Sequence[str],
        title: str,
        message: str,
        parent: str,
    ) -> str:
        """Commit to main, on ``parent``, and return the new commit. Raises SeasDataError if main has moved on.

        An answer that is lost leaves open whether there is a commit; then main says so: it has either stayed at
        ``parent``, and the commit is made, or it holds just what this commit adds.
        """
        deletions = [CommitOperationDelete(path, is_folder=False) for path in deleted]

        def tried() -> str:
            try:
                return self._api.create_commit(
                    self.name,
                    [*additions, *deletions],
                    commit_message=title,
                    commit_description=message,
                    parent_commit=parent,
                    repo_type=self.kind,
                ).oid
            except errors.HfHubHTTPError as problem:
                if not hub.is_status(problem, 412):
                    raise
                newest = self._api.list_repo_commits(self.name, repo_type=self.kind)
                if self._is_ours(newest[0].commit_id, additions, deleted, newest[0].title == title):
                    return newest[0].commit_id
                authors = printable(", ".join(newest[0].authors)) or "somebody"
                raise SeasDataError(
                    f"the {self.kind} {self.name} changed while it was being pushed to (now at "
                    f"{newest[0].commit_id[:7]}, by {authors}): run the same "
                    "command again, which starts from what is there now; what has arrived is not sent again"
                ) from None

        with speaking(self.name, self.kind):
            return patiently(tried)

    def _is_ours(
        self, commit: str, additions: Sequence[CommitOperationAdd], deleted: Sequence[str], titled: bool
    ) -> bool:
        tree = self.tree(commit) if titled else {}
        return (
            titled
            and all(
                each.path_in_repo in tree and tree[each.path_in_repo].same_as(Local(Path(str(each.path_or_fileobj))))
                for each in additions
            )
            and not any(path in tree for path in deleted)
        )

    def tag(self, name: str, commit: str) -> None:
        """Call ``commit`` by ``name``. Raises SeasDataError if the tag stands for another commit."""

        def tried() -> None:
            try:
                self._api.create_tag(self.name, tag=name, revision=commit, repo_type=self.kind)
            except errors.HfHubHTTPError as problem:
                if not hub.is_status(problem, 409):
                    raise
                if self.tags().get(name) != commit:
                    raise SeasDataError(tag_taken(name, self.name)) from None

        with speaking(self.name, self.kind):
            patiently(tried)


def tag_taken(tag: str, repository: str) -> str:
    """Return the sentence for a tag that stands for something else."""
    return f"the tag {tag} of {repository} stands for another version, and tags do not move; choose another with --tag"
