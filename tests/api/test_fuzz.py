"""Arbitrary bodies: whatever comes is durable, and what is called stored can be read again."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.domain.api_key import Scope
from app.domain.tracking_id import canonical_id
from tests.api.conftest import Service, campaign_request, new_id, payload, progress, reply

fuzz = settings(
    max_examples=150,
    deadline=timedelta(seconds=5),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    database=None,
)

#: Lone surrogates and NUL included.
TEXTS = st.text(st.characters(), max_size=40)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(),
    TEXTS,
    st.sampled_from(["DELIVERED", "Inbound", "2026-03-01T10:00:00Z", "+306912345678", "x" * 600]),
    st.datetimes().map(lambda at: at.isoformat()),
)
KEYS = st.one_of(
    TEXTS,
    st.sampled_from(
        [
            *sorted({*json.loads(payload("progress")), *json.loads(payload("inbound"))}),
            "messageId",
            "name",
            "updatedDate",
            "reason",
            "detailedStatus",
            "campaignStatus",
            "messageStatuses",
            "messages",
        ]
    ),
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def _answered(service: Service, body: bytes) -> bool:
    """Whether *body* was stored; else it is in the quarantine, byte for byte."""
    answer = service.post(body)
    assert answer.status_code == 200
    if answer.json() == {"result": "stored"}:
        return True
    assert answer.json() == {"result": "quarantined"}
    assert service.in_quarantine(body) is not None
    return False


def test_arbitrary_bytes_are_durable(each_service: Service) -> None:
    @fuzz
    @given(st.binary(max_size=300))
    def _holds(body: bytes) -> None:
        _answered(each_service, body)

    _holds()


def test_arbitrary_json_is_durable(service: Service) -> None:
    @fuzz
    @given(ANY_JSON, st.booleans())
    def _holds(document: object, ascii_only: bool) -> None:  # noqa: FBT001 (drawn)
        text = json.dumps(document, ensure_ascii=ascii_only)
        _answered(service, text.encode(errors="surrogatepass"))

    _holds()


def test_a_damaged_callback_is_durable(service: Service) -> None:
    whole = payload("progress")

    @fuzz
    @given(st.integers(0, len(whole)), st.integers(0, 20), st.binary(max_size=20))
    def _holds(at: int, cut: int, put: bytes) -> None:
        _answered(service, whole[:at] + put + whole[at + cut :])

    _holds()


def _changed(
    make: Callable[..., dict[str, Any]],
) -> st.SearchStrategy[Callable[[], dict[str, Any]]]:
    """The documented payload with one or more members, also of its status, made arbitrary."""
    fields = st.dictionaries(
        st.sampled_from(sorted(set(make()) - {"trackingId", "referenceTrackingId"})),
        ANY_JSON,
        max_size=3,
    )
    return fields.map(lambda changes: lambda: make(**changes))


def test_nothing_storable_is_refused(
    service: Service,
) -> None:
    @fuzz
    @given(_changed(progress), st.dictionaries(KEYS, ANY_JSON, max_size=3), TEXTS)
    def _holds(make: Callable[[], dict[str, Any]], inside: dict[str, Any], tail: str) -> None:
        document = make()
        if isinstance(document["status"], dict):
            document["status"] |= inside
        document["trackingId"] = f"{document['trackingId']}{tail}"
        tracking_id = canonical_id(document["trackingId"])
        if not _answered(service, json.dumps(document).encode()):
            return
        if document["status"] is None and _is_reply(document):
            return
        if str(document.get("direction")).strip().lower() == "inbound":  # a reply, with a status
            return
        assert service.message(tracking_id)["trackingId"] == tracking_id
        (event,) = service.history(tracking_id, scope=Scope.ADMIN, raw=True)
        assert json.loads(event["raw"]) == document or "NaN" in event["raw"]
        assert service.read(f"/v1/status/{quote(tracking_id, safe='')}")["kind"] == "message"
        campaign = service.message(tracking_id)["campaignTrackingId"]
        if campaign is not None:
            found = service.read(f"/v1/campaigns/{quote(campaign, safe='')}")
            assert found["trackingId"] == campaign

    _holds()


def _is_reply(document: dict[str, Any]) -> bool:
    """Whether there is no id of a message to read by."""
    return any(
        document.get(name) is not None for name in ("sentDate", "referenceTrackingId", "direction")
    )


def test_a_reply_with_arbitrary_members_is_stored_and_readable_or_quarantined(
    service: Service,
) -> None:
    @fuzz
    @given(_changed(reply))
    def _holds(make: Callable[[], dict[str, Any]]) -> None:
        document = make() | {"referenceTrackingId": new_id()}
        if not _answered(service, json.dumps(document).encode()):
            return
        (item,) = service.replies(referenceTrackingId=document["referenceTrackingId"])
        assert service.read(f"/v1/inbound-messages/{item['id']}") == item

    _holds()


def test_a_campaign_request_with_arbitrary_members_is_never_our_fault(service: Service) -> None:
    headers = service.bearer(Scope.CAMPAIGNS) | {"content-type": "application/json"}
    known = st.sampled_from(
        [
            *campaign_request(),
            "contacts",
            "groups",
            "campaignName",
            "isSessionMessage",
            "scheduledDate",
            "ttl",
            "label",
            "callbackUrl",
        ]
    )

    @fuzz
    @given(st.dictionaries(st.one_of(known, TEXTS), ANY_JSON, min_size=1, max_size=3))
    def _holds(changes: dict[str, Any]) -> None:
        content = json.dumps(campaign_request(**changes)).encode()
        answer = service.client.post("/v1/campaigns", content=content, headers=headers)
        assert answer.status_code in {201, 409, 422}, (content, answer.text)
        if answer.status_code == 201:
            assert service.read(answer.headers["location"])["id"] == answer.json()["id"]

    _holds()


def test_any_id_is_answered_and_never_our_fault(service: Service) -> None:
    @fuzz
    @given(
        st.binary(max_size=60),
        st.sampled_from(
            [
                "messages/{}",
                "messages/{}/events",
                "campaigns/{}",
                "campaigns/{}/messages",
                "status/{}",
                "inbound-messages/{}",
            ]
        ),
    )
    def _holds(octets: bytes, path: str) -> None:
        target = "/v1/" + path.format(quote(octets, safe="").replace(".", "%2E"))
        # 200: another example may have stored a message of that very id.
        assert service.get(target).status_code in {200, 404, 405, 307}

    _holds()
