"""A server of folders on this computer, over HTTP and as a bucket of S3, with all that a real one may do wrong."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


class StoreServer:
    """The files of a folder, served while it is open.

    Attributes
    ----------
    folder : Path
        What is served.
    failing : dict
        What is answered instead of a file whose path ends so: a status, or ``"page"``, ``"cut"``, ``"slow"`` (nothing
        for a second), ``"moved:ADDRESS"``, ``"shifted"`` (another part of the file).
    times : dict
        How often at most, for some of them; without end otherwise.
    ranges : bool
        Whether a part of a file can be had.
    validators : bool
        Whether it says when a file was changed.
    bucket : bool
        Whether it answers as S3 does; the first part of a path is the bucket's name.
    asked : list
        Path and range of every request, with the query.
    authorization : set
        What was sent as credentials.
    """

    def __init__(self, folder: Path, *, bucket: bool = False) -> None:
        self.folder, self.bucket = folder, bucket
        self.failing: dict[str, int | str] = {}
        self.times: dict[str, int] = {}
        self.ranges = self.validators = True
        self.asked: list[tuple[str, str]] = []
        self.authorization: set[str] = set()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                served.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Any) -> None:
        """Answer one request."""
        parts, span = urlsplit(request.path), request.headers.get("Range", "")
        path = unquote(parts.path)
        self.asked.append((request.path, span))
        self.authorization.add(request.headers.get("Authorization", ""))
        if (problem := self._problem(path)) is not None and self._failed(request, problem):
            return
        file = self.folder / path.strip("/")
        if self.bucket and "list-type" in parts.query:
            self._send(request, 200, self._listed(path, parse_qs(parts.query)), {"Content-Type": "application/xml"})
        elif file.is_file():
            self._give(request, file.read_bytes(), file.stat().st_mtime, span, problem)
        else:
            self._refuse(request, 404, "NoSuchKey")

    def _problem(self, path: str) -> int | str | None:
        for ending, problem in self.failing.items():
            if path.endswith(ending) and self.times.get(ending, 1) > 0:
                if ending in self.times:
                    self.times[ending] -= 1
                return problem
        return None

    def _failed(self, request: Any, problem: int | str) -> bool:
        """Answer with a failure; return whether that was all."""
        if isinstance(problem, int):
            self._refuse(request, problem, {403: "AccessDenied", 404: "NoSuchKey"}.get(problem, "InternalError"))
        elif problem == "page":
            self._send(request, 200, PAGE, {"Content-Type": "text/html"})
        elif problem.startswith("moved:"):
            self._send(request, 302, b"", {"Location": problem.removeprefix("moved:")})
        elif problem == "slow":
            time.sleep(1)
            request.close_connection = True
        return problem not in ("cut", "shifted")

    def _refuse(self, request: Any, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._send(request, status, text.encode(), {"Content-Type": "application/xml"})

    def _give(self, request: Any, content: bytes, changed: float, span: str, problem: int | str | None) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        if self.validators:
            headers |= {"Last-Modified": formatdate(changed, usegmt=True), "ETag": f'"{changed}"'}
        status, start, stop = 200, 0, len(content)
        if span and self.ranges:
            first, _, last = span.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(len(content) - int(last), 0)
            stop = min(int(last) + 1, len(content)) if first and last else len(content)
            start -= (problem == "shifted") * min(start, 1)
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._send(request, status, content[start:stop], headers, cut=problem == "cut")

    def _send(self, request: Any, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            request.close_connection = True

    def _listed(self, path: str, query: dict[str, list[str]]) -> bytes:
        bucket, prefix = self.folder / path.strip("/"), query.get("prefix", [""])[0]
        entries = "".join(f"<{kind}>{entry}</{kind}>" for kind, entry in self._entries(bucket, prefix, query))
        inner = f"<IsTruncated>false</IsTruncated>{entries}"
        return f"<?xml version='1.0'?><ListBucketResult>{inner}</ListBucketResult>".encode()

    def _entries(self, bucket: Path, prefix: str, query: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
        seen: set[str] = set()
        for file in sorted(bucket.rglob("*")):
            name = file.relative_to(bucket).as_posix()
            if file.is_dir() or not name.startswith(prefix):
                continue
            rest = name.removeprefix(prefix)
            if "delimiter" in query and "/" in rest:
                folder = prefix + rest.partition("/")[0] + "/"
                if folder not in seen:
                    seen.add(folder)
                    yield "CommonPrefixes", f"<Prefix>{escape(folder)}</Prefix>"
                continue
            facts = f"<Key>{escape(name)}</Key><Size>{file.stat().st_size}</Size><ETag>&quot;1&quot;</ETag>"
            yield "Contents", f"{facts}<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
