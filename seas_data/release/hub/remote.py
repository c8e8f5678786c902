"""A repository of the Hugging Face Hub: its content, and the changes that a push makes to it.

Every method raises SeasDataError with a message of ``hub_errors``. Reading and changing settings are retried; a commit
is made once, on the state that it was planned for, so that nobody's changes are overwritten unseen.
"""

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, errors
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]

from seas_data.errors import SeasDataError
from seas_data.release.hub.errors import Kind, hub_errors, is_status, with_hub_retries
from seas_data.store import files
from seas_data.text import printable

_PATIENCE_SECONDS = 10.0  # that a question waits for an answer if it is asked once


class LocalFile:
    """A local file to push. Its hashes are computed once, however often it is compared."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def size(self) -> int:
        """The size in bytes."""
        return self.path.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the content."""
        return files.sha256(self.path)

    @cached_property
    def git_id(self) -> str:
        """The id of the content as a git blob."""
        content = self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class RemoteFile:
    """A file of the repository: its size, the SHA-256 if it is a large file (LFS), and its git id."""

    size: int
    sha256: str | None
    git_id: str

    def matches(self, local: LocalFile) -> bool:
        """Return whether the local file has the same content."""
        if local.size != self.size:
            return False
        return local.sha256 == self.sha256 if self.sha256 else local.git_id == self.git_id


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository at a commit of main: its files, visibility and tags (name to commit).

    ``gated``: whether people approve each request for access; automatic approval does not count as a gate.
    """

    commit: str
    files: dict[str, RemoteFile]
    private: bool
    gated: bool
    tags: dict[str, str]


class Remote:
    """A repository of the Hub, which need not exist yet. Raises SeasDataError if ``name`` is not a valid name."""

    def __init__(self, name: str, kind: Kind = "dataset"):
        with hub_errors(name, kind):
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
        """The address of its page."""
        return f"{self._api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"

    def info(self, *, retry: bool = True) -> RepositoryInfo | None:
        """Return the current state of main; None if there is no such repository, or no access to it.

        Without ``retry``, raise HubUnavailableError at once if the Hub does not answer.
        """

        def read_info() -> Any:
            seconds = None if retry else _PATIENCE_SECONDS
            return self._api.repo_info(self.name, repo_type=self.kind, revision="main", timeout=seconds)

        with hub_errors(self.name, self.kind):
            try:
                info = with_hub_retries(read_info) if retry else read_info()
            except errors.GatedRepoError:
                raise
            except errors.RepositoryNotFoundError as problem:
                if problem.response.status_code == 401 and "credentials" in (problem.server_message or ""):
                    raise
                return None
        commit = str(info.sha)
        return RepositoryInfo(commit, self.tree(commit), bool(info.private), info.gated == "manual", self.tags())

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        with hub_errors(self.name, self.kind):
            refs = with_hub_retries(lambda: self._api.list_repo_refs(self.name, repo_type=self.kind))
        return {ref.name: ref.target_commit for ref in refs.tags}

    def tree(self, commit: str) -> dict[str, RemoteFile]:
        """Return the files at ``commit``, by path."""

        def list_files() -> dict[str, RemoteFile]:
            entries = self._api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type=self.kind)
            return {
                entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
                for entry in entries
                if isinstance(entry, RepoFile)
            }

        with hub_errors(self.name, self.kind):
            return with_hub_retries(list_files)

    def resolve_commit(self, revision: str | None) -> str:
        """Return the commit of a tag, branch or commit; None is the newest commit of main."""
        with hub_errors(self.name, self.kind):
            try:
                info = with_hub_retries(lambda: self._api.repo_info(self.name, repo_type=self.kind, revision=revision))
            except errors.RevisionNotFoundError:
                newest = ", ".join(sorted(self.tags())[-10:]) or "none"
                raise SeasDataError(
                    f"the {self.kind} {self.name} has no tag, branch or commit {printable(str(revision))}; "
                    f"its newest tags: {printable(newest)}"
                ) from None
        return str(info.sha)

    def read_file(self, path: str, commit: str) -> bytes:
        """Return the content of a small file at ``commit``."""
        with tempfile.TemporaryDirectory() as folder, hub_errors(self.name, self.kind):

            def download() -> str:
                return self._api.hf_hub_download(
                    self.name, path, repo_type=self.kind, revision=commit, local_dir=folder
                )

            return Path(with_hub_retries(download)).read_bytes()

    def download(self, paths: Sequence[str], commit: str, folder: Path) -> None:
        """Download the files ``paths`` at ``commit`` into ``folder``, in parallel; resume an interrupted download."""

        def download() -> None:
            self._api.snapshot_download(
                self.name, repo_type=self.kind, revision=commit, local_dir=folder, allow_patterns=list(paths)
            )

        with hub_errors(self.name, self.kind):
            with_hub_retries(download)

    def create(self) -> None:
        """Create the repository, private at first."""
        with hub_errors(self.name, self.kind):
            with_hub_retries(lambda: self._api.create_repo(self.name, repo_type=self.kind, private=True, exist_ok=True))

    def set_gated(self) -> None:
        """Gate the repository: people approve each request for access."""
        with hub_errors(self.name, self.kind):
            with_hub_retries(lambda: self._api.update_repo_settings(self.name, repo_type=self.kind, gated="manual"))

    def make_public(self) -> None:
        """Make the repository public."""
        with hub_errors(self.name, self.kind):
            with_hub_retries(lambda: self._api.update_repo_settings(self.name, repo_type=self.kind, private=False))

    def upload(self, additions: Sequence[CommitOperationAdd]) -> None:
        """Upload the large files that the Hub does not have yet; they are not visible before the commit."""
        with hub_errors(self.name, self.kind):
            self._api.preupload_lfs_files(self.name, additions, repo_type=self.kind, free_memory=False)

    def commit(
        self,
        additions: Sequence[CommitOperationAdd],
        deleted: Sequence[str],
        title: str,
        message: str,
        parent: str,
    ) -> str:
        """Commit to main on top of ``parent`` and return the new commit. Raises SeasDataError if main has changed.

        If the reply is lost, main shows whether the commit was made: it is either still at ``parent``, and the commit
        is made again, or its newest commit contains exactly this change.
        """
        deletions = [CommitOperationDelete(path, is_folder=False) for path in deleted]

        def create_commit() -> str:
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
                if not is_status(problem, 412):
                    raise
                newest = self._api.list_repo_commits(self.name, repo_type=self.kind)[0]
                if newest.title == title and self._contains(newest.commit_id, additions, deleted):
                    return newest.commit_id
                authors = printable(", ".join(newest.authors)) or "an unknown author"
                raise SeasDataError(
                    f"the {self.kind} {self.name} was changed during the push (commit {newest.commit_id[:7]} by "
                    f"{authors}); rerun the command, which starts from its current state and does not send uploaded "
                    "files again"
                ) from None

        with hub_errors(self.name, self.kind):
            return with_hub_retries(create_commit)

    def _contains(self, commit: str, additions: Sequence[CommitOperationAdd], deleted: Sequence[str]) -> bool:
        tree = self.tree(commit)
        added = all(
            each.path_in_repo in tree and tree[each.path_in_repo].matches(LocalFile(Path(str(each.path_or_fileobj))))
            for each in additions
        )
        return added and not any(path in tree for path in deleted)

    def tag(self, name: str, commit: str) -> None:
        """Tag ``commit`` with ``name``. Raises SeasDataError if the tag exists at another commit."""

        def create_tag() -> None:
            try:
                self._api.create_tag(self.name, tag=name, revision=commit, repo_type=self.kind)
            except errors.HfHubHTTPError as problem:
                if not is_status(problem, 409):
                    raise
                if self.tags().get(name) != commit:
                    raise SeasDataError(tag_conflict(name, self.name)) from None

        with hub_errors(self.name, self.kind):
            with_hub_retries(create_tag)


def tag_conflict(tag: str, repository: str) -> str:
    """Return the message for a tag that another version has."""
    return f"the tag {tag} of {repository} is on another version, and tags are not moved; choose another with --tag"
