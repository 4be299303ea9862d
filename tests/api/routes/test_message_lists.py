"""Finding messages: by many ids, by number, label, campaign, and by what was updated."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Service, new_id, progress, reply, status


def _looked_up(service: Service, tracking_ids: object) -> httpx.Response:
    return service.client.post(
        "/v1/messages/lookup",
        json={"trackingIds": tracking_ids},
        headers=service.bearer(Scope.READ),
    )


def _ids(page: dict[str, Any]) -> list[str]:
    return [item["trackingId"] for item in page["items"]]


def _new_number() -> str:
    return f"+3069{int(new_id().split('-')[2], 16):010}"


def test_messages_are_looked_up_in_the_order_asked(service: Service) -> None:
    documents = [progress(trackingId=new_id()) for _ in range(5)]
    service.stored(documents)
    ids = [document["trackingId"] for document in documents]
    unknown = [new_id(), new_id()]
    asked = [unknown[1], ids[3], ids[0], unknown[0], ids[4], ids[3], unknown[1]]
    answer = _looked_up(service, asked)
    assert answer.status_code == 200
    assert _ids(answer.json()) == [ids[3], ids[0], ids[4]]
    assert answer.json()["notFound"] == [unknown[1], unknown[0]]
    explained = service.message(ids[3])
    assert answer.json()["items"][0] | {"explanation": explained["explanation"]} == explained


def test_ids_that_cannot_exist_are_not_found(service: Service) -> None:
    odd = ["", "a\0b", "x" * 513, "€" * 171, " "]
    document = progress()
    service.stored(document)
    answer = service.client.post(
        "/v1/messages/lookup",
        content=b'{"trackingIds":["","a\\u0000b","%b","%b"," ","%b"]}'
        % (b"x" * 513, "€".encode() * 171, document["trackingId"].encode()),
        headers=service.bearer(Scope.READ),
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["notFound"] == odd
    assert _ids(answer.json()) == [document["trackingId"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"{}", b'{"trackingIds":["\\ud800"]}'])
def test_an_invalid_lookup_is_refused(service: Service, body: bytes) -> None:
    answer = service.client.post(
        "/v1/messages/lookup", content=body, headers=service.bearer(Scope.READ)
    )
    assert answer.status_code == 422
    assert service.client.post("/v1/messages/lookup", content=body).status_code == 401
    campaigns = service.bearer(Scope.CAMPAIGNS)
    refused = service.client.post("/v1/messages/lookup", content=body, headers=campaigns)
    assert refused.status_code == 403


def test_a_thousand_are_looked_up_and_no_more(service: Service) -> None:
    answer = _looked_up(service, [f"none-{number}" for number in range(1000)])
    assert len(answer.json()["notFound"]) == 1000
    for wrong in ([f"none-{number}" for number in range(1001)], [], "x", [1], None):
        refused = _looked_up(service, wrong)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"].startswith("trackingIds")


@pytest.fixture(scope="module")
def number(service: Service) -> str:
    """A number with 12 messages: of two campaigns, three labels, two statuses."""
    number = _new_number()
    service.stored(
        [
            progress(
                trackingId=f"{number}-{at:02}",
                to=number,
                campaignTrackingId=f"c{number}-{at % 2}",
                label=f"label {at % 3} of {number}",
                status=status("SEEN" if at % 4 == 0 else "DELIVERED"),
            )
            for at in range(12)
        ]
    )
    return number


def test_support_finds_by_number(service: Service, number: str) -> None:
    page = service.read("/v1/messages", to=number)
    assert _ids(page) == [f"{number}-{at:02}" for at in range(12)]
    assert page["nextCursor"] is None
    explained = service.message(f"{number}-00")
    assert page["items"][0] | {"explanation": explained["explanation"]} == explained
    assert _ids(service.read("/v1/messages", to=number.removeprefix("+"))) == _ids(page)


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ({"status": "SEEN"}, [0, 4, 8]),
        ({"label": "label 1 of {}"}, [1, 4, 7, 10]),
        ({"campaignTrackingId": "c{}-1"}, [1, 3, 5, 7, 9, 11]),
        ({"campaignTrackingId": "c{}-1", "label": "label 0 of {}"}, [3, 9]),
        ({"campaignTrackingId": "c{}-0", "status": "SEEN", "label": "label 2 of {}"}, [8]),
        ({"campaignTrackingId": "nothing"}, []),
        ({"updatedAfter": "2026-01-01T00:00:00Z"}, list(range(12))),
        ({"updatedAfter": "2099-01-01T00:00:00Z"}, []),
    ],
)
@pytest.mark.parametrize("with_number", [True, False])
def test_filters_narrow_each_other(
    service: Service, number: str, filters: dict[str, Any], places: list[int], *, with_number: bool
) -> None:
    asked: dict[str, Any] = {name: value.format(number) for name, value in filters.items()}
    if with_number or not {"label", "campaignTrackingId"} & asked.keys():
        asked["to"] = number
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/messages", limit=2, **asked, **cursor)
        assert len(page["items"]) <= 2
        found += _ids(page)
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert found == [f"{number}-{at:02}" for at in places]


@pytest.mark.parametrize("filters", [{}, {"status": "SEEN"}, {"status": "FAILED"}])
def test_without_an_indexed_filter_all_messages_are_scanned(
    service: Service, number: str, filters: dict[str, Any]
) -> None:
    wanted = set(_ids(service.read("/v1/messages", to=number, **filters)))
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/messages", limit=1000, **filters, **cursor)
        found += _ids(page)
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert len(found) == len(set(found))
    assert wanted <= set(found)


def test_what_was_updated_is_listed_in_that_order(service: Service) -> None:
    before = datetime.now(UTC).isoformat()
    ids = [new_id() for _ in range(5)]
    for tracking_id in ids:
        service.stored(progress(trackingId=tracking_id, status=status("QUEUED")))
    service.stored(progress(trackingId=ids[1], status=status("SEEN", "2026-03-01T10:00:00Z")))
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/messages", updatedAfter=before, limit=2, **cursor)
        found += _ids(page)
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [one for one in found if one in ids] == [ids[0], *ids[2:], ids[1]]
    assert len(found) == len(set(found))
    seen = _ids(service.read("/v1/messages", updatedAfter=before, status="SEEN", limit=1000))
    assert [one for one in seen if one in ids] == [ids[1]]
    last = service.message(ids[1])["updatedAt"]
    assert ids[1] not in _ids(service.read("/v1/messages", updatedAfter=last, limit=1000))


def test_what_was_updated_long_ago_needs_another_filter(service: Service, number: str) -> None:
    long_ago = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    answer = service.get("/v1/messages", updatedAfter=long_ago)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "updatedAfter"
    assert len(service.read("/v1/messages", updatedAfter=long_ago, to=number)["items"]) == 12


def test_a_cursor_belongs_to_its_filters(service: Service, number: str) -> None:
    cursor = service.read("/v1/messages", to=number, limit=3)["nextCursor"]
    others: list[dict[str, Any]] = [
        {"to": number, "status": "SEEN"},
        {"label": f"label 0 of {number}"},
        {"updatedAfter": datetime.now(UTC).isoformat()},
    ]
    for filters in others:
        assert service.get("/v1/messages", cursor=cursor, **filters).status_code == 400
    assert service.get("/v1/messages", cursor=cursor[:-1], to=number).status_code == 400


def test_the_messages_of_a_campaign_are_found_by_our_id_before_routees_is_known(
    service: Service,
) -> None:
    campaign_id, token = service.add_campaign(submission="unconfirmed")
    documents = [progress(trackingId=new_id(), campaignTrackingId=None) for _ in range(3)]
    for document in documents:
        service.stored(document, token=token)
    ids = sorted(document["trackingId"] for document in documents)
    path = f"/v1/campaigns/{campaign_id}/messages"
    page = service.read(path, limit=2)
    assert (_ids(page), page["total"]) == (ids[:2], None)
    assert _ids(service.read(path, limit=2, cursor=page["nextCursor"])) == ids[2:]
    assert _ids(service.read("/v1/messages", campaignTrackingId=str(campaign_id))) == ids
    tracking_id = new_id("c")
    service.stored(progress(trackingId=new_id("z"), campaignTrackingId=tracking_id), token=token)
    for known_as in (campaign_id, tracking_id):
        page = service.read(f"/v1/campaigns/{known_as}/messages")
        assert (_ids(page)[:3], page["total"]) == (ids, 4)
        assert len(_ids(service.read("/v1/messages", campaignTrackingId=str(known_as)))) == 4


def test_replies_are_found_by_our_id_of_their_campaign(service: Service) -> None:
    tracking_id = new_id("c")
    campaign_id, _ = service.add_campaign(tracking_id)
    service.stored(reply(campaignTrackingId=tracking_id))
    assert len(service.replies(campaignTrackingId=str(campaign_id))) == 1


def test_replies_without_filters_come_page_by_page(service: Service) -> None:
    at = datetime.now(UTC).isoformat()
    texts = [new_id("text") for _ in range(5)]
    for text in texts:
        service.stored(reply(message=text))
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = service.read("/v1/inbound-messages", limit=2, receivedSince=at, **cursor)
        found += [item["message"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [text for text in found if text in texts] == texts


NUMBERS = [f"+30691234567{at}" for at in range(8)]


class TestAwaited:
    """Recipients of whose message nothing is known yet."""

    @pytest.fixture
    def campaign(self, service: Service) -> dict[str, Any]:
        """Three of its eight recipients have a message."""
        campaign = service.launched(to=NUMBERS)
        for at in (5, 0, 3):
            service.stored(
                progress(
                    trackingId=f"{campaign['trackingId']}-{at}",
                    to=NUMBERS[at].removeprefix("+"),
                    campaignTrackingId=campaign["trackingId"],
                )
            )
        return campaign

    def _items(self, service: Service, path: str, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        items: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = service.read(path, **filters, **cursor)
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            cursor = {"cursor": page["nextCursor"]}

    @pytest.mark.parametrize("limit", range(1, 10))
    def test_they_come_after_the_messages_in_the_order_of_the_request(
        self, service: Service, campaign: dict[str, Any], limit: int
    ) -> None:
        path = f"/v1/campaigns/{campaign['trackingId']}/messages"
        items = self._items(service, path, limit=limit)
        assert [item["to"] for item in items] == [NUMBERS[at] for at in (0, 3, 5, 1, 2, 4, 6, 7)]
        assert [item["status"] for item in items] == ["DELIVERED"] * 3 + ["AWAITING"] * 5
        assert service.read(path, limit=limit)["total"] == 3

    def test_they_have_the_members_of_a_message(
        self, service: Service, campaign: dict[str, Any]
    ) -> None:
        items = self._items(service, f"/v1/campaigns/{campaign['id']}/messages")
        message, awaited = items[0], items[-1]
        assert list(awaited) == list(message)
        known = {name: value for name, value in awaited.items() if value is not None}
        assert known == {
            "campaignTrackingId": campaign["trackingId"],
            "to": NUMBERS[7],
            "status": "AWAITING",
            "final": False,
            "overdue": False,
        }

    def test_they_are_filtered(self, service: Service, campaign: dict[str, Any]) -> None:
        path = f"/v1/campaigns/{campaign['trackingId']}/messages"
        for limit in (2, 100):
            items = self._items(service, path, status="AWAITING", limit=limit)
            assert [item["to"] for item in items] == [NUMBERS[at] for at in (1, 2, 4, 6, 7)]
        assert len(self._items(service, path, status="DELIVERED")) == 3
        assert self._items(service, path, status="SEEN") == []
        assert self._items(service, path, to=NUMBERS[1])[0]["status"] == "AWAITING"
        assert self._items(service, path, to=NUMBERS[0])[0]["status"] == "DELIVERED"
        assert self._items(service, path, to=NUMBERS[0], status="AWAITING") == []
        assert self._items(service, path, to="+306900000000") == []
        assert service.read(path, status="DELIVERED")["total"] == 3
        assert service.read(path, status="SEEN")["total"] == 0
        assert service.read(path, status="AWAITING")["total"] is None
        assert service.get("/v1/messages", to=NUMBERS[1], status="AWAITING").status_code == 422

    def test_no_recipient_of_an_unsent_campaign_is_awaited(self, service: Service) -> None:
        campaign = service.launched(to=NUMBERS)
        for submission in ("rejected", "cancelled"):
            service.sql(
                "UPDATE campaigns SET submission = $2 WHERE id = $1",
                UUID(campaign["id"]),
                submission,
            )
            assert service.read(f"/v1/campaigns/{campaign['id']}/messages")["items"] == []

    def test_a_cursor_of_them_cannot_be_forged(
        self, service: Service, campaign: dict[str, Any]
    ) -> None:
        path = f"/v1/campaigns/{campaign['trackingId']}/messages"
        cursor = service.read(path, limit=5)["nextCursor"]
        assert service.get(path, cursor=cursor[:-1] + "A").status_code == 400
        assert service.get(path, cursor=cursor, status="AWAITING").status_code == 400
