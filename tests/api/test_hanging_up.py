"""A client that hangs up leaves no traceback, wherever its request is."""

import json
import logging
import time

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service, campaign_request, progress

_BODY = json.dumps(campaign_request()).encode()


def _requests(service: Service) -> dict[str, bytes]:
    """Whole requests to every kind of route."""
    key = service.bearer(Scope.ADMIN)["Authorization"]

    def _request(line: str, body: bytes = b"") -> bytes:
        head = f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    lookup = json.dumps({"trackingIds": ["a", "b"]}).encode()
    callback = json.dumps(progress()).encode()
    return {
        "callback": _request(f"POST /callbacks/{SECRET}/status", callback),
        "launch": _request("POST /v1/campaigns", _BODY),
        "lookup": _request("POST /v1/messages/lookup", lookup),
        "resolve": _request("POST /v1/campaigns/unknown/resolve", b'{"submission":"rejected"}'),
        "waiting": _request("GET /v1/events?after=now&wait=20"),
        "list": _request("GET /v1/messages?limit=1000"),
        "export": _request("GET /v1/exports/messages?format=csv"),
        "document": _request("GET /openapi.json"),
    }


@pytest.mark.parametrize("part", [0.3, 0.7, 0.98, 1.0])
def test_hanging_up_leaves_no_traceback(
    each_service: Service, caplog: pytest.LogCaptureFixture, part: float
) -> None:
    caplog.set_level(logging.DEBUG)
    for request in _requests(each_service).values():
        with each_service.connection() as connection:
            connection.sendall(request[: int(len(request) * part)])
            time.sleep(0.1)
    time.sleep(0.3)
    assert each_service.client.get("/livez").status_code == 200
    loud = [record for record in caplog.records if record.levelno > logging.INFO]
    assert [record.getMessage() for record in loud] == []
    assert [record for record in caplog.records if record.exc_info] == []
