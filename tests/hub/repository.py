"""Repositories as the Hub keeps them: commits with a tree each, branches, tags, and large files by their SHA-256."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """A file of a tree: its content's git id, its size, and its SHA-256 where it is a large file."""

    oid: str
    size: int
    sha256: str | None = None

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    tree: dict[str, File]


class StaleParentError(Exception):
    """The branch has moved since the commit's parent."""


class MissingFileError(Exception):
    """A file that is to be deleted is not there, or a large file was never uploaded."""


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


ATTRIBUTES = "".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in ("parquet", "bin", "safetensors"))


@dataclass
class Repository:
    """One repository. ``private``: only members of its namespace see it. ``gated``: others need to be let in."""

    kind: str  # models | datasets
    name: str
    private: bool = False
    gated: str | bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    let_in: set[str] = field(default_factory=set)
    received: Counter[str] = field(default_factory=Counter)
    """Bytes of large files that arrived, whole or not, by SHA-256; of regular ones by path."""
    settings_at: list[tuple[int, bool, str | bool]] = field(default_factory=list)
    """What private and gated were after how many commits, each time they were set."""

    def __post_init__(self) -> None:
        self.commit("main", "initial commit", "", "system", files={".gitattributes": ATTRIBUTES.encode()})
        self.settings_at.append((0, self.private, self.gated))

    def set(self, private: bool | None, gated: str | bool | None) -> None:
        if private is not None:
            self.private = private
        if gated is not None:
            self.gated = gated
        self.settings_at.append((len(self.commits) - 1, self.private, self.gated))

    def head(self, revision: str = "main") -> Commit:
        """Return the commit of a branch, a tag or an id (also its first 7 digits); KeyError without one."""
        found = self.branches.get(revision) or self.tags.get(revision) or revision
        if found not in self.commits and len(found) >= 7:
            found = next((commit for commit in self.commits if commit.startswith(found)), found)
        return self.commits[found]

    def history(self, revision: str = "main") -> list[Commit]:
        """Return the commits of a revision, newest first."""
        commit: Commit | None = self.head(revision)
        found = []
        while commit is not None:
            found.append(commit)
            commit = self.commits[commit.parent] if commit.parent else None
        return found

    def content(self, path: str, revision: str = "main") -> bytes:
        file = self.head(revision).tree[path]
        return self.large[file.sha256] if file.sha256 else self.blobs[file.oid]

    def is_large(self, path: str, size: int) -> bool:
        return path.endswith((".parquet", ".bin", ".safetensors")) or size > 10_000_000

    def commit(
        self,
        branch: str,
        title: str,
        message: str,
        author: str,
        *,
        files: dict[str, bytes] | None = None,
        large: dict[str, tuple[str, int]] | None = None,
        deleted: list[str] | None = None,
        parent: str | None = None,
    ) -> Commit:
        """Add a commit to ``branch``: all of it or, when anything is wrong, nothing."""
        at = self.branches.get(branch)
        if parent is not None and parent != at:
            raise StaleParentError
        tree = dict(self.commits[at].tree) if at else {}
        for path in deleted or []:
            if path not in tree:
                raise MissingFileError(path)
            del tree[path]
        for path, content in (files or {}).items():
            oid = git_oid(content)
            self.blobs[oid] = content
            tree[path] = File(oid, len(content))
            self.received[path] += len(content)
        for path, (sha256, size) in (large or {}).items():
            if sha256 not in self.large:
                raise MissingFileError(sha256)
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
            tree[path] = File(git_oid(pointer), size, sha256)
        number = len(self.commits)
        date = f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000Z"
        described = json.dumps([at, title, message, author, date, sorted((p, f.oid) for p, f in tree.items())])
        made = Commit(hashlib.sha1(described.encode()).hexdigest(), at, title, message, author, date, tree)
        self.commits[made.id] = made
        self.branches[branch] = made.id
        return made

    def sent(self, folder: str, revision: str = "main") -> dict[str, int]:
        """Return how many bytes ever arrived for each file below ``folder`` of a revision."""
        tree = self.head(revision).tree
        return {path: self.received[file.sha256 or path] for path, file in tree.items() if path.startswith(folder)}
