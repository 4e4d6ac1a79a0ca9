"""A daemon that only answers: HTTP on a home's socket, with values that a test made. No engine, no machine."""

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from core.codec import encode
from core.home import Home

Answers = Mapping[str, object]
"""By the beginning of a path, the first that fits: bytes go as they are, values as JSON, and what can be called
is asked for either with the path and its query.
"""


@contextmanager
def standing_in(home: Home, answers: Answers, bodies: list[bytes] | None = None) -> Iterator[list[str]]:
    """Answer on the home's socket until the block ends, which is given what was asked for: paths with their queries.

    What was sent along with them is put into `bodies`.
    """
    home.runtime.mkdir(mode=0o700, exist_ok=True)
    asked: list[str] = []
    served: dict[str, object] = {"/v1/alive": {"alive": True}, **answers}

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "a test"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            path = urlsplit(self.path).path
            found = next((served[start] for start in served if path.startswith(start)), None)
            found = found(self.path) if callable(found) else found
            data = found if isinstance(found, bytes) else json.dumps(encode(found)).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if bodies is not None:
                bodies.append(body)
            self.do_GET()

    home.daemon_socket.unlink(missing_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(home.daemon_socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
            home.daemon_socket.unlink(missing_ok=True)
