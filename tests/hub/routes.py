"""What each address of the Hub answers: the part of its HTTP interface that pushing, reading and loading use."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

import yaml

from tests.hub.repository import Commit, File, MissingFileError, Repository, StaleParentError
from tests.hub.server import Answer, Request

if TYPE_CHECKING:
    from tests.hub.server import Hub

_NAME = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_NAME}"


class RefusedError(Exception):
    """The Hub will not, and answers so."""

    def __init__(self, answer: Answer):
        super().__init__()
        self.answer = answer


def refused(status: int, message: str, code: str | None = None) -> Answer:
    """Answer as the Hub does when it will not: the message in the body and the headers."""
    return Answer(status, {"error": message}, {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}))


def answer(hub: "Hub", request: Request, quoted: str) -> Answer:
    """Answer one request; ``quoted`` is its path as it was sent."""
    if request.user == "":
        return refused(401, "Invalid credentials in Authorization header")
    for method, pattern, function in _ROUTES:
        if request.method in method and (found := re.fullmatch(pattern, quoted)):
            parts = {key: unquote(value) for key, value in found.groupdict(default="").items()}
            try:
                return function(hub, request, parts)
            except RefusedError as refusal:
                return refusal.answer
    return refused(404, f"there is no {request.method} {request.path} here")


def partly(hub: "Hub", path: str, got: int) -> None:
    """Count the bytes of an upload that broke off."""
    if found := re.fullmatch(rf"/lfs/(?P<kind>models|datasets)/{_NAME}/(?P<sha>[0-9a-f]{{64}})", path):
        with hub.lock:
            hub.repository(found["kind"], found["name"]).received[found["sha"]] += got


# Who may do what ------------------------------------------------------------------------------------------------


def _member(hub: "Hub", request: Request, name: str) -> bool:
    return name.partition("/")[0] in hub.members.get(request.user or "", set())


def _readable(hub: "Hub", request: Request, parts: dict[str, str]) -> Repository:
    """Return the repository if who asks may know of it: for a stranger there is no private one."""
    repository = hub.repositories.get((parts["kind"].rstrip("/") or "models", parts["name"]))
    if repository is None or (repository.private and not _member(hub, request, parts["name"])):
        raise RefusedError(refused(404 if request.user else 401, "Repository not found", "RepoNotFound"))
    return repository


def _writable(hub: "Hub", request: Request, parts: dict[str, str]) -> Repository:
    found = _readable(hub, request, parts)
    if not _member(hub, request, parts["name"]):
        message = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
        raise RefusedError(refused(403, message))
    return found


def _open_to(hub: "Hub", request: Request, repository: Repository) -> None:
    """Refuse a gated repository's files to somebody who was not let in."""
    if not repository.gated or _member(hub, request, repository.name) or request.user in repository.let_in:
        return
    message = f"Access to {repository.name} is restricted"
    raise RefusedError(refused(403 if request.user else 401, message, "GatedRepo"))


def _head(repository: Repository, revision: str) -> Commit:
    try:
        return repository.head(revision)
    except KeyError:
        raise RefusedError(refused(404, "Invalid rev id", "RevisionNotFound")) from None


# Routes ---------------------------------------------------------------------------------------------------------


def _whoami(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    if request.user is None:
        return refused(401, "Invalid username or password.")
    organizations = sorted(hub.members[request.user] - {request.user})
    return Answer(
        content={
            "type": "user",
            "name": request.user,
            "fullname": request.user,
            "orgs": [{"name": name, "roleInOrg": "admin"} for name in organizations],
            "auth": {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}},
        }
    )


def _validate(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = re.match(r"\A---\r?\n(.*?)\r?\n---", request.json()["content"], re.DOTALL)
    try:
        content = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError as problem:
        return Answer(400, {"errors": [{"message": str(problem)}], "warnings": []})
    warnings = [] if content else [{"message": "empty or missing yaml metadata"}]
    return Answer(content={"errors": [], "warnings": warnings})


def _create(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    asked = request.json()
    if request.user is None:
        return refused(401, "Invalid username or password.")
    namespace = asked.get("organization") or request.user
    if namespace not in hub.members[request.user]:
        return refused(403, f"You don't have the rights to create a repository under the namespace {namespace!r}")
    kind, name = asked.get("type", "model") + "s", f"{namespace}/{asked['name']}"
    url = f"{hub.url}/{_prefix(kind)}{name}"
    if (kind, name) in hub.repositories:
        return Answer(409, {"error": "You already created this repo", "url": url})
    hub.repositories[kind, name] = Repository(kind, name, private=asked.get("visibility") == "private")
    return Answer(content={"url": url, "name": name, "id": name})


def _settings(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _writable(hub, request, parts)
    asked = request.json()
    visibility = asked.get("visibility")
    found.set(None if visibility is None else visibility == "private", asked.get("gated"))
    return Answer(content={"private": found.private, "gated": found.gated})


def _info(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)
    commit = _head(found, parts.get("revision") or "main")
    files = [{"rfilename": path} | _blob(file, request) for path, file in sorted(commit.tree.items())]
    return Answer(
        content={
            "_id": "0" * 24,
            "id": found.name,
            "author": found.name.partition("/")[0],
            "sha": commit.id,
            "lastModified": commit.date,
            "private": found.private,
            "gated": found.gated,
            "disabled": False,
            "tags": [],
            "siblings": files,
        }
    )


def _blob(file: File, request: Request) -> dict[str, object]:
    if "blobs" not in request.query:
        return {}
    content: dict[str, object] = {"size": file.size, "blobId": file.oid}
    return content | ({"lfs": _lfs(file) | {"sha256": file.sha256}} if file.sha256 else {})


def _lfs(file: File) -> dict[str, object]:
    return {"oid": file.sha256, "size": file.size, "pointerSize": 130}


def _preupload(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _writable(hub, request, parts)
    tree = _head(found, parts["revision"]).tree
    files = []
    for each in request.json()["files"]:
        large = found.is_large(each["path"], each["size"])
        there = tree.get(each["path"])
        known = {} if there is None else {"oid": there.etag}
        files.append({"path": each["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False} | known)
    return Answer(content={"files": files})


def _batch(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _writable(hub, request, parts)
    objects = []
    for each in request.json()["objects"]:
        entry = {"oid": each["oid"], "size": each["size"]}
        if each["oid"] not in found.large:
            upload = f"{hub.store}/lfs/{found.kind}/{found.name}/{each['oid']}"
            verify = upload.replace(hub.store, hub.url)
            entry["actions"] = {"upload": {"href": upload}, "verify": {"href": f"{verify}/verify"}}
        objects.append(entry)
    return Answer(content={"transfer": "basic", "objects": objects})


def _upload(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    repository = hub.repository(parts["kind"], parts["name"])  # the address itself is the permission, as in a store
    repository.received[parts["sha"]] += len(request.body)
    if hashlib.sha256(request.body).hexdigest() != parts["sha"]:
        return refused(400, "the content does not fit its hash")
    repository.large[parts["sha"]] = request.body
    return Answer()


def _verify(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    content = hub.repository(parts["kind"], parts["name"]).large.get(parts["sha"])
    if content is None or len(content) != request.json()["size"]:
        return refused(404, "the object is not there")
    return Answer(content={})


def _commit(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _writable(hub, request, parts)
    lines = [json.loads(line) for line in request.body.splitlines()]
    header = lines[0]["value"]
    of = {key: [line["value"] for line in lines if line["key"] == key] for key in {line["key"] for line in lines}}
    try:
        made = found.commit(
            parts["revision"],
            header["summary"],
            header.get("description", ""),
            request.user or "",
            files={each["path"]: base64.b64decode(each["content"]) for each in of.get("file", [])},
            large={each["path"]: (each["oid"], each["size"]) for each in of.get("lfsFile", [])},
            deleted=[each["path"] for each in of.get("deletedFile", [])],
            parent=header.get("parentCommit"),
        )
    except StaleParentError:
        return refused(412, "A commit has happened since. Please refresh and try again.")
    except MissingFileError as problem:
        return refused(404, f"A file with this name doesn't exist: {problem}", "EntryNotFound")
    url = f"{hub.url}/{_prefix(found.kind)}{found.name}/commit/{made.id}"
    return Answer(content={"success": True, "commitOid": made.id, "commitUrl": url, "hookOutput": ""})


def _tree(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)
    tree = _head(found, parts["revision"]).tree
    folder = parts["path"].strip("/")
    entries = _entries(tree, folder, request.query.get("recursive", "").lower() in ("true", "1"))
    if folder and not entries:
        return refused(404, f"{folder} does not exist", "EntryNotFound")
    start = int(request.query.get("cursor", "0"))
    headers = {}
    if start + hub.page < len(entries):
        keep = "&".join(f"{key}={value}" for key, value in request.query.items() if key != "cursor")
        headers["Link"] = f'<{hub.url}{request.path}?{keep}&cursor={start + hub.page}>; rel="next"'
    return Answer(content=entries[start : start + hub.page], headers=headers)


def _entries(tree: dict[str, File], folder: str, recursive: bool) -> list[dict[str, object]]:
    prefix = folder + "/" if folder else ""
    found: dict[str, dict[str, object]] = {}
    for path, file in sorted(tree.items()):
        if not path.startswith(prefix):
            continue
        names = path[len(prefix) :].split("/")
        for depth in range(1, len(names) if recursive else min(2, len(names))):
            below = prefix + "/".join(names[:depth])
            found.setdefault(below, {"type": "directory", "path": below, "oid": "1" * 40, "size": 0})
        if recursive or len(names) == 1:
            found[path] = _entry(path, file)
    return list(found.values())


def _entry(path: str, file: File) -> dict[str, object]:
    content: dict[str, object] = {"type": "file", "path": path, "oid": file.oid, "size": file.size}
    return content | ({"lfs": _lfs(file)} if file.sha256 else {})


def _paths(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)
    tree = _head(found, parts["revision"]).tree
    entries = []
    for path in request.json()["paths"]:
        if path in tree:
            entries.append(_entry(path, tree[path]))
        elif any(each.startswith(path.rstrip("/") + "/") for each in tree):
            entries.append({"type": "directory", "path": path, "oid": "1" * 40, "size": 0})
    return Answer(content=entries)


def _refs(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)

    def listed(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in names.items()]

    content = {"branches": listed("heads", found.branches), "tags": listed("tags", found.tags), "converts": []}
    return Answer(content=content)


def _tag(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _writable(hub, request, parts)
    name = request.json()["tag"]
    if name in found.tags:
        return refused(409, f"Tag reference exists already: {name}")
    found.tags[name] = _head(found, parts["revision"]).id
    return Answer(content={})


def _commits(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)

    def told(commit: Commit) -> dict[str, object]:
        said = {"title": commit.title, "message": commit.message, "date": commit.date}
        return {"id": commit.id, "authors": [{"user": commit.author}], **said}

    return Answer(content=[told(commit) for commit in found.history(parts["revision"] or "main")])


def _resolve(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    found = _readable(hub, request, parts)
    _open_to(hub, request, found)
    commit = _head(found, parts["revision"])
    file = commit.tree.get(parts["path"])
    at = {"X-Repo-Commit": commit.id}
    if file is None:
        missing = refused(404, "Entry not found", "EntryNotFound")
        return Answer(missing.status, missing.content, missing.headers | at)
    etag = f'"{file.etag}"'
    headers = at | {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if file.sha256:
        place = f"{hub.store}/store/{found.kind}/{found.name}/{file.sha256}"
        linked = {"X-Linked-Size": str(file.size), "X-Linked-ETag": etag, "Location": place}
        return Answer(302, None, headers | linked)
    return Answer(200, found.blobs[file.oid], headers)


def _store(hub: "Hub", request: Request, parts: dict[str, str]) -> Answer:
    content = hub.repository(parts["kind"], parts["name"]).large[parts["sha"]]
    return Answer(200, content, {"ETag": f'"{parts["sha"]}"', "Accept-Ranges": "bytes"})


def _prefix(kind: str) -> str:
    return "" if kind == "models" else f"{kind}/"


_REVISION = r"(?P<revision>[^/]+)"
_ROUTES: list[tuple[str, str, Callable[["Hub", Request, dict[str, str]], Answer]]] = [
    ("GET", r"/api/whoami-v2", _whoami),
    ("POST", r"/api/validate-yaml", _validate),
    ("POST", r"/api/repos/create", _create),
    ("PUT", rf"{_API}/settings", _settings),
    ("GET", rf"{_API}(?:/revision/{_REVISION})?", _info),
    ("POST", rf"{_API}/preupload/{_REVISION}", _preupload),
    ("POST", rf"/(?P<kind>datasets/|){_NAME}\.git/info/lfs/objects/batch", _batch),
    ("PUT", rf"/lfs/(?P<kind>models|datasets)/{_NAME}/(?P<sha>[0-9a-f]{{64}})", _upload),
    ("POST", rf"/lfs/(?P<kind>models|datasets)/{_NAME}/(?P<sha>[0-9a-f]{{64}})/verify", _verify),
    ("POST", rf"{_API}/commit/{_REVISION}", _commit),
    ("GET", rf"{_API}/tree/{_REVISION}(?P<path>/.*)?", _tree),
    ("POST", rf"{_API}/paths-info/{_REVISION}", _paths),
    ("GET", rf"{_API}/refs", _refs),
    ("POST", rf"{_API}/tag/{_REVISION}", _tag),
    ("GET", rf"{_API}/commits/{_REVISION}", _commits),
    ("GET HEAD", rf"/(?P<kind>datasets/|){_NAME}/resolve/{_REVISION}/(?P<path>.+)", _resolve),
    ("GET HEAD", rf"/store/(?P<kind>models|datasets)/{_NAME}/(?P<sha>[0-9a-f]{{64}})", _store),
]
