"""A Hugging Face Hub on 127.0.0.1, as much of it as models and data sets need, for the tests."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_of_the_tests"
# As on the Hub: files of arrays go by Git LFS, others with the commit.
LARGE = (".safetensors", ".parquet", ".hdf5")


class Hub:
    """Repositories in memory; `with Hub() as hub:` serves them at `hub.url`.

    Attributes:
        commits: by repository (`models/owner/name`) its commits, oldest first: files by path.
        private: repositories that only the holder of `TOKEN` sees.
        asked: requests, as `METHOD path`.
        broken: answer everything with this status, if given.
    """

    def __init__(self):
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.large: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.broken: int | None = None
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def files(self, repository: str, revision: str = "main") -> dict[str, bytes] | None:
        """Files of a revision: `main`, or the hash of a commit."""
        for k, files in enumerate(self.commits[repository]):
            if revision == self.sha(repository, k):
                return files
        return self.commits[repository][-1] if revision == "main" else None

    def sha(self, repository: str, k: int = -1) -> str:
        """Hash of the `k`th commit."""
        k %= len(self.commits[repository])
        return hashlib.sha1(f"{repository} {k}".encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.route("GET")

    def do_HEAD(self):
        self.route("HEAD")

    def do_POST(self):
        self.route("POST")

    def do_PUT(self):
        self.route("PUT")

    def answer(self, content, status=200, **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def route(self, method):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{method} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.broken is not None:
            return self.answer({"error": "broken"}, self.hub.broken)
        self.known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        for pattern, action in (
            (r"POST /api/repos/create", self.create),
            (r"POST /api/validate-yaml", self.validate),
            (r"POST /api/(\w+/[^/]+/[^/]+)/preupload/[^/]+", self.preupload),
            (r"POST /api/(\w+/[^/]+/[^/]+)/commit/[^/]+", self.commit),
            (r"POST /(?:datasets/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", self.batch),
            (r"PUT /lfs/(\w+)", self.store),
            (r"GET /api/(\w+/[^/]+/[^/]+)(?:/revision/([^/]+))?", self.information),
            (r"GET /api/(\w+/[^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", self.tree),
            (r"(?:GET|HEAD) /((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return action(*found.groups())
        return self.answer({"error": "no such address"}, 404)

    def may_see(self, repository) -> bool:
        hub = self.hub
        if repository in hub.commits and (self.known or repository not in hub.private):
            return True
        self.answer({"error": "no such repository"}, 404, X_Error_Code="RepoNotFound")
        return False

    def may_write(self) -> bool:
        if not self.known:
            self.answer({"error": "log in"}, 401)
        return self.known

    def create(self):
        if not self.may_write():
            return
        given = json.loads(self.body)
        repository = f"{given.get('type', 'model')}s/{given['organization']}/{given['name']}"
        address = {"url": f"{self.hub.url}/{given['organization']}/{given['name']}"}
        if repository in self.hub.commits:
            return self.answer(address | {"error": "it is there"}, 409)
        self.hub.commits[repository] = [{}]
        if given.get("private") or given.get("visibility") == "private":
            self.hub.private.add(repository)
        self.answer(address)

    def validate(self):
        head = json.loads(self.body)["content"].split("---\n")[1]
        wrong = [] if isinstance(yaml.safe_load(head), dict) else [{"message": "no YAML"}]
        self.answer({"errors": wrong, "warnings": []}, 400 if wrong else 200)

    def preupload(self, repository):
        if not (self.may_write() and self.may_see(repository)):
            return
        paths = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in paths}
        self.answer(
            {
                "files": [
                    {"path": path, "uploadMode": mode, "shouldIgnore": False}
                    for path, mode in modes.items()
                ]
            }
        )

    def batch(self):
        if not self.may_write():
            return
        objects = [
            {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}}
            for wanted in json.loads(self.body)["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, oid):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.large[oid] = self.body
        self.answer({})

    def commit(self, repository):
        if not (self.may_write() and self.may_see(repository)):
            return
        files = dict(self.hub.commits[repository][-1])
        for line in self.body.decode().splitlines():
            key, value = (json.loads(line)[k] for k in ("key", "value"))
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        self.hub.commits[repository].append(files)
        sha = self.hub.sha(repository)
        url = f"{self.hub.url}/{repository.removeprefix('models/')}/commit/{sha}"
        self.answer({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})

    def revision(self, repository, revision):
        """Files and hash of a revision; answers itself when there is none."""
        if not self.may_see(repository):
            return None
        files = self.hub.files(repository, revision or "main")
        if files is None:
            self.answer({"error": "no such revision"}, 404, X_Error_Code="RevisionNotFound")
            return None
        n = len(self.hub.commits[repository])
        shas = [self.hub.sha(repository, k) for k in range(n)]
        return files, revision if revision in shas else shas[-1]

    def information(self, repository, revision):
        if found := self.revision(repository, revision):
            files, sha = found
            name = repository.partition("/")[2]
            siblings = [{"rfilename": path} for path in files]
            private = repository in self.hub.private
            self.answer(
                {"_id": "1", "id": name, "sha": sha, "siblings": siblings, "private": private}
                | {"disabled": False, "gated": False, "downloads": 0, "likes": 0, "tags": []}
            )

    def tree(self, repository, revision):
        if found := self.revision(repository, revision):
            self.answer(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}
                    for path, data in found[0].items()
                ]
            )

    def resolve(self, name, revision, path):
        repository = name if name.startswith("datasets/") else f"models/{name}"
        if found := self.revision(repository, revision):
            files, sha = found
            if path not in files:
                return self.answer(
                    {"error": "no such file"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=sha
                )
            data = files[path]
            self.answer(data, ETag=f'"{_blob(data)}"', X_Repo_Commit=sha)


def _blob(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
