"""A service of a later version: in front of ours, it adds to answers what a version may add."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

#: A type of feed items that no client of today knows.
NEW_TYPE: Final = "something.new"
_OPEN_WORDS: Final = {"reason": "a-new-reason", "source": "a-new-source"}
#: Objects with one of these are no maps, so members may be added to them.
_OF_OBJECTS: Final = {"id", "trackingId", "items", "changed"}
_PASSED_ON: Final = ("authorization", "content-type")


@contextmanager
def later_version(url: str) -> Iterator[str]:
    """The address of a later version of the service at *url*."""

    class _Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on("GET")

        def do_POST(self) -> None:
            self._pass_on("POST")

        def log_message(self, *_: object) -> None:
            pass

        def _pass_on(self, method: str) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            answer = httpx.request(
                method, url + self.path, content=content, headers=headers, timeout=60
            )
            body = json.dumps(_grown(answer.json())).encode()
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _grown(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, list):
        grown = [_grown(element) for element in value]
        if value and isinstance(value[0], dict) and "data" in value[0]:
            grown.append({**grown[0], "type": NEW_TYPE, "data": {"counts": {"SEEN": 1}}})
        return grown
    if not isinstance(value, dict):
        return value
    members = {name: _grown(member) for name, member in value.items()}
    if not _OF_OBJECTS & members.keys():
        return members
    words = {name: word for name, word in _OPEN_WORDS.items() if name in members}
    return {**members, **words, "addedLater": {"some": ["thing"]}}
