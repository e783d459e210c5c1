"""A small stand-in for the Hugging Face Hub: as much of its HTTP as huggingface_hub speaks here.

Repositories with commits and branches, files as they are or by git-LFS, private ones, and files
that are spoiled on their way.
"""

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LARGE = (".safetensors", ".tflite", ".pkl", ".bin")
"""How files end that the hub keeps by git-LFS."""

TOKEN = "hf_standInForTests"

Files = dict[str, bytes]


@dataclass
class Repo:
    """One repository: its commits' files, and which commit each branch and tag is."""

    private: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, ref: str = "main") -> str:
        """Add a commit and return its id."""
        names = "".join(f"{name}:{_sha256(content)}" for name, content in sorted(files.items()))
        oid = hashlib.sha1(f"{ref}{len(self.commits)}{names}".encode()).hexdigest()
        self.commits[oid] = dict(files)
        self.refs[ref] = oid
        return oid


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _error(status: int, code: str) -> JSONResponse:
    return JSONResponse({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code})


class StandIn:
    """The hub.

    Attributes:
        repos: By owner and name.
        served: Path of every file that was sent.
        spoil: Changes what is sent of a file, by its path: a wrong or a shorter content, under the
            size and the digest of the right one.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.served: list[str] = []
        self.spoil: dict[str, Callable[[bytes], bytes]] = {}
        self._uploads: Files = {}

    def repo(self, name: str, private: bool = False) -> Repo:
        """Make a repository."""
        self.repos[name] = Repo(private)
        return self.repos[name]

    def app(self) -> Starlette:
        """Return the hub as an ASGI application."""
        repo = "{owner}/{name}"
        return Starlette(
            routes=[
                Route("/api/repos/create", self._create, methods=["POST"]),
                Route("/api/validate-yaml", self._validate, methods=["POST"]),
                Route(f"/api/models/{repo}", self._info),
                Route(f"/api/models/{repo}/revision/{{revision:path}}", self._info),
                Route(f"/api/models/{repo}/tree/{{revision}}", self._tree),
                Route(f"/api/models/{repo}/preupload/{{revision}}", self._ask, methods=["POST"]),
                Route(f"/api/models/{repo}/commit/{{revision}}", self._commit, methods=["POST"]),
                Route(f"/{repo}.git/info/lfs/objects/batch", self._batch, methods=["POST"]),
                Route("/lfs/{oid}", self._store, methods=["PUT"]),
                Route(f"/{repo}/resolve/{{revision}}/{{path:path}}", self._file),
            ]
        )

    def _found(self, request: Request) -> tuple[Repo, str] | Response:
        """Return the repository and the commit that a request is about, or why there is none."""
        path = request.path_params
        repo = self.repos.get(f"{path['owner']}/{path['name']}")
        authorized = request.headers.get("authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not authorized):
            return _error(404 if authorized else 401, "RepoNotFound")
        revision = path.get("revision", "main")
        oid = revision if revision in repo.commits else repo.refs.get(revision)
        return (repo, oid) if oid is not None else _error(404, "RevisionNotFound")

    async def _info(self, request: Request) -> Response:
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repo, oid = found
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        siblings = [{"rfilename": path} for path in repo.commits[oid]]
        values = {"id": name, "modelId": name, "sha": oid, "siblings": siblings, "tags": []}
        return JSONResponse(values | {"private": repo.private, "downloads": 0, "likes": 0})

    async def _tree(self, request: Request) -> Response:
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repo, oid = found
        return JSONResponse([_described(*item) for item in repo.commits[oid].items()])

    async def _file(self, request: Request) -> Response:
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repo, oid = found
        path = request.path_params["path"]
        content = repo.commits[oid].get(path)
        if content is None:
            return _error(404, "EntryNotFound")
        headers = {"X-Repo-Commit": oid, "Content-Length": str(len(content))}
        headers["ETag"] = f'"{_sha256(content) if path.endswith(LARGE) else _git_oid(content)}"'
        if path.endswith(LARGE):
            headers |= {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
        if request.method == "HEAD":
            return Response(headers=headers)
        self.served.append(path)
        sent = self.spoil.get(path, bytes)(content)
        return StreamingResponse(iter([sent]), headers=headers)

    async def _create(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "Unauthorized")
        values = await request.json()
        name = f"{values['organization']}/{values['name']}"
        answer = {"url": str(request.base_url) + name, "id": name, "name": name}
        if name in self.repos:
            return JSONResponse(answer | {"error": "it exists"}, 409)
        private = values.get("private") or values.get("visibility") == "private"
        self.repo(name, bool(private)).commit({".gitattributes": b""})
        return JSONResponse(answer)

    async def _validate(self, request: Request) -> Response:
        assert (await request.json())["content"].startswith("---\n")
        return JSONResponse({"errors": [], "warnings": []})

    async def _ask(self, request: Request) -> Response:
        """Say which files are to come by git-LFS."""
        values = await request.json()
        found = self._found(request)
        if isinstance(found, Response):
            return found
        kinds = {True: "lfs", False: "regular"}
        files = [
            {
                "path": each["path"],
                "uploadMode": kinds[each["path"].endswith(LARGE)],
                "shouldIgnore": False,
            }
            for each in values["files"]
        ]
        return JSONResponse({"files": files, "commitOid": found[1]})

    async def _batch(self, request: Request) -> Response:
        values = await request.json()
        objects = [
            {**each, "actions": {"upload": {"href": f"{request.base_url}lfs/{each['oid']}"}}}
            for each in values["objects"]
        ]
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def _store(self, request: Request) -> Response:
        content = await request.body()
        if _sha256(content) != request.path_params["oid"]:
            return _error(400, "WrongDigest")
        self._uploads[_sha256(content)] = content
        return Response()

    async def _commit(self, request: Request) -> Response:
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repo, oid = found
        files = dict(repo.commits[oid])
        for line in (await request.body()).splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif part["key"] == "lfsFile":
                files[value["path"]] = self._uploads[value["oid"]]
            elif part["key"] == "deletedFile":
                del files[value["path"]]
        new = repo.commit(files, request.path_params["revision"])
        path = request.path_params
        url = f"{request.base_url}{path['owner']}/{path['name']}/commit/{new}"
        return JSONResponse({"success": True, "commitOid": new, "commitUrl": url})


def _described(path: str, content: bytes) -> dict[str, object]:
    values: dict[str, object] = {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": _git_oid(content),
    }
    if path.endswith(LARGE):
        large = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
        values["lfs"] = large
    return values


@contextlib.contextmanager
def serving(hub: StandIn) -> Iterator[str]:
    """Run a stand-in on a free port and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(hub.app(), log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
