"""Answers whose bytes are always the same, encoded once."""

from http import HTTPStatus
from typing import Any, Final

Headers = list[tuple[bytes, bytes]]

_PROBLEM: Final = (b"content-type", b"application/problem+json")
CLOSE: Final = (b"connection", b"close")


class FixedAnswer:
    """An answer for ASGI, and as the bytes of HTTP/1.1."""

    __slots__ = ("_encoded", "_encoded_for", "body", "start", "status")

    def __init__(self, status: HTTPStatus, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        length = (b"content-length", str(len(body)).encode())
        self.start: dict[str, Any] = {
            "type": "http.response.start",
            "status": int(status),
            "headers": [length, *headers],
        }
        self.body: dict[str, Any] = {"type": "http.response.body", "body": body}
        self._encoded: dict[bool, bytes] = {}
        self._encoded_for: Headers | None = None

    def encoded(self, more_headers: Headers, *, keep_alive: bool) -> bytes:
        """The answer as HTTP/1.1. It is kept until another list of *more_headers* is given."""
        if more_headers is not self._encoded_for:
            self._encoded_for = more_headers
            self._encoded = {
                True: self._written(more_headers),
                False: self._written([*more_headers, CLOSE]),
            }
        return self._encoded[keep_alive]

    def _written(self, more_headers: Headers) -> bytes:
        status_line = f"HTTP/1.1 {self.status:d} {self.status.phrase}\r\n".encode()
        headers = dict.fromkeys([*more_headers, *self.start["headers"]])
        lines = [b"%b: %b\r\n" % header for header in headers]
        return b"".join([status_line, *lines, b"\r\n", self.body["body"]])


def problem(
    status: HTTPStatus, slug: str, title: str, *headers: tuple[bytes, bytes]
) -> FixedAnswer:
    """A problem as in RFC 9457, with a title of plain ASCII."""
    body = f'{{"type":"urn:routee-receiver:problem:{slug}","title":"{title}","status":{status:d}}}'
    return FixedAnswer(status, body.encode(), _PROBLEM, *headers)
