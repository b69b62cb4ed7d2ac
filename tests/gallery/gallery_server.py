"""A server of files on this computer, with all that a real one may do, and a list of what it was asked for."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Served:
    """Files by their paths, served while it is open.

    Attributes
    ----------
    files : dict
        Content by path.
    moved : dict
        The addresses that paths are said to be at now.
    cut : dict
        After how many bytes of a file the connection ends, once.
    whole : bool
        Ranges are not understood, and nothing tells versions of a file apart.
    slow : Event
        Requests wait for it.
    asked : list
        Path and range of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.whole = False
        self.endless: set[str] = set()
        self.slow = threading.Event()
        self.slow.set()
        self.asked: list[tuple[str, str]] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the server's name

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Any) -> None:
        """Answer one request."""
        path, wanted = request.path, request.headers.get("Range", "")
        self.asked.append((path, wanted))
        self.slow.wait(10)
        if path in self.moved:
            request.send_response(302)
            request.send_header("Location", self.moved[path])
            request.end_headers()
            return
        content = self.files.get(path)
        if content is None:
            request.send_error(404)
            return
        if self.whole:
            wanted = ""
        tag = f'"{hash(content)}"'
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if wanted and request.headers.get("If-Range", tag) != tag:
            start, wanted = 0, ""
        if start >= len(content) > 0:
            request.send_error(416)
            return
        request.send_response(206 if wanted else 200)
        if wanted:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if path not in self.endless:
            request.send_header("Content-Length", str(len(content) - start))
        if not self.whole:
            request.send_header("ETag", tag)
        request.end_headers()
        if request.command == "HEAD":
            return
        stop = self.cut.pop(path, len(content))
        request.wfile.write(content[start:stop])
