"""Asking again what has not changed."""

from collections.abc import Iterator

import httpx
import pytest

from app.api.caching import is_named, weak_tag
from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, status

TAG = weak_tag(b"{}")
STRONG = TAG.removeprefix("W/")


@pytest.mark.parametrize(
    "lines",
    [
        [TAG],
        [STRONG],
        ["*"],
        [" * "],
        [f'"other", {TAG}'],
        [f'W/"a,b",{TAG} , "c"'],
        [f", {TAG},,"],
        ['"other"', TAG],
        [f'"", {STRONG}'],
    ],
)
def test_a_header_names_the_tag(lines: list[str]) -> None:
    assert is_named(TAG, lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ['"other"'],
        [TAG[:-1]],
        [STRONG.strip('"')],
        [f'"x{STRONG[1:]}'],
        [f"{TAG} {TAG}x"],
        [f'"a b", {TAG}'],
        [f"w/{STRONG}"],
        ["**"],
        [f"*, {TAG}"],
        [f'"{TAG}"'],
        ['"' * 10_000],
        ['W/"a",' * 10_000 + "x"],
    ],
)
def test_a_header_names_another_tag_or_is_invalid(lines: list[str]) -> None:
    assert not is_named(TAG, lines)


def _asked(service: Service, path: str, *lines: str) -> httpx.Response:
    headers = [("If-None-Match", line) for line in lines]
    return service.client.get(path, headers=[*service.bearer(Scope.READ).items(), *headers])


@pytest.fixture(params=["messages/{trackingId}", "status/{trackingId}",
    "campaigns/{campaignTrackingId}", "status/{campaignTrackingId}"])  # fmt: skip
def path(request: pytest.FixtureRequest, service: Service) -> Iterator[tuple[str, str]]:
    """A path, and the one of a message that changes what it answers."""
    document = progress(status=status("QUEUED", "2026-03-01T10:00:00Z"))
    service.stored(document)
    if "campaign" in request.param:
        service.knows_events_of(document["campaignTrackingId"])
    yield f"/v1/{request.param.format(**document)}", document["trackingId"]
    service.stored(document)


def test_what_has_not_changed_is_answered_without_a_body(
    service: Service, path: tuple[str, str]
) -> None:
    first = _asked(service, path[0])
    assert first.status_code == 200
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for lines in ([tag], ["*"], [f'"x", {tag}'], ['"x"', tag]):
        again = _asked(service, path[0], *lines)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "private, no-cache"
        assert "content-type" not in again.headers
    other = _asked(service, path[0], '"another"')
    assert (other.status_code, other.json()) == (200, first.json())
    assert other.headers["cache-control"] == "private, no-cache"


def test_a_change_makes_another_tag(service: Service, path: tuple[str, str]) -> None:
    """Of a campaign only the counts have changed."""
    tag = _asked(service, path[0]).headers["etag"]
    message = service.message(path[1])
    service.stored(
        progress(
            trackingId=path[1],
            campaignTrackingId=message["campaignTrackingId"],
            status=status("SEEN", "2026-03-01T10:00:09Z"),
        )
    )
    changed = _asked(service, path[0], tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_an_unknown_id_is_not_found_with_any_tag(service: Service) -> None:
    for noun in ("messages", "campaigns", "status"):
        answer = _asked(service, f"/v1/{noun}/{new_id()}", "*")
        assert answer.status_code == 404
        assert "etag" not in answer.headers


def test_a_tag_without_a_key_is_refused(service: Service, path: tuple[str, str]) -> None:
    answer = service.client.get(path[0], headers={"If-None-Match": "*"})
    assert answer.status_code == 401


def test_no_cache_may_store_any_other_answer(service: Service) -> None:
    document = progress()
    service.stored(document)
    message, campaign = document["trackingId"], document["campaignTrackingId"]
    for path in (
        f"/v1/messages?to={document['to'].replace('+', '%2B')}",
        f"/v1/messages/{message}/events?raw=true",
        f"/v1/campaigns/{campaign}/messages",
        "/v1/campaigns",
        "/v1/inbound-messages",
        f"/v1/messages/{new_id()}",
        "/v1/nothing",
    ):
        assert service.get(path).headers["cache-control"] == "no-store", path
    found = service.client.post(
        "/v1/messages/lookup",
        json={"trackingIds": [message]},
        headers=service.bearer(Scope.READ),
    )
    assert found.headers["cache-control"] == "no-store"
    assert service.client.get("/v1/campaigns").headers["cache-control"] == "no-store"
    assert "cache-control" not in service.client.get("/livez").headers
