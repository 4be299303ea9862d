import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.event import DeliveryEvent
from app.domain.likeness import LikeEvent, filled, likeness_of, own_of
from app.routee import alike
from app.routee.alike import MAX_LAYOUTS, Alike
from app.routee.translate import Translation, translate

CAMPAIGN = UUID(int=1)
DOCUMENTED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "payloads" / "progress.json").read_bytes()
)
AT = "2026-07-05T10:28:02.996Z"
CREATED = "2026-07-05T10:28:00.566Z"


def _id(at: int) -> str:
    return str(UUID(int=at))


def _number(at: int) -> str:
    return f"+3069{at:08}"


def _body(at: int, occurred: str = AT, created: str = CREATED, **change: Any) -> bytes:  # noqa: ANN401
    """As Routee would tell it of message *at*."""
    status = {**DOCUMENTED["status"], "updatedDate": occurred}
    document = {**DOCUMENTED, "trackingId": _id(at), "to": _number(at), "status": status}
    document |= {"createdAt": created, **change}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def _taught(bodies: Sequence[bytes]) -> Alike:
    known = Alike()
    for body in bodies:
        known.learn(translate(body))
    return known


def _found(known: Alike, body: bytes) -> LikeEvent:
    """What is found, which is what would be translated."""
    found = known.find(body, CAMPAIGN)
    assert isinstance(found, LikeEvent)
    assert translate(body, campaign_id=CAMPAIGN) == ((found,), None, frozenset())
    assert found.likeness is not None
    own = own_of(found)
    assert own is not None
    assert filled(found.likeness.skeleton, own) == body
    return found


def test_what_is_like_others_is_found() -> None:
    known = _taught([_body(1), _body(2)])
    found = [_found(known, _body(at, f"2026-07-0{at}T11:12:13.014Z")) for at in range(3, 9)]
    assert len({one.likeness for one in found}) == 1
    assert len({one.identity for one in found}) == len(found)


def test_once_is_not_enough() -> None:
    assert _taught([_body(1)]).find(_body(2), None) is None


def test_one_message_told_again_is_not_enough() -> None:
    assert _taught([_body(1)] * 5).find(_body(2), None) is None


def test_it_is_proved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs: list[bytes] = []

    def _counted(body: bytes, *, campaign_id: UUID | None) -> Translation:
        proofs.append(body)
        return translate(body, campaign_id=campaign_id)

    monkeypatch.setattr(alike, "MAX_TEMPLATES", 1)
    monkeypatch.setattr(alike, "translate", _counted)
    known = Alike()
    likenesses = set()
    for at in range(20):
        for label in ("a", "b"):
            (event,) = known.learn(translate(_body(at, label=label))).records
            assert isinstance(event, LikeEvent)
            likenesses.add(event.likeness)
    assert len(proofs) == 4
    assert len(likenesses - {None}) == 2


def test_texts_in_any_script_are_found() -> None:
    body = {"text": "Καλημέρα"}
    bodies = [
        _body(at, body=body).replace(json.dumps("Καλημέρα").encode(), '"Καλημέρα"'.encode())
        for at in range(3)
    ]
    _found(_taught(bodies[:2]), bodies[2])


def test_each_status_and_campaign_has_its_own_likeness() -> None:
    changes = [
        {"campaignTrackingId": f"c{campaign}", "label": label}
        for campaign in range(3)
        for label in ("a", "b")
    ]
    known = _taught([_body(at, **change) for at in (1, 2) for change in changes])
    found = [_found(known, _body(3, **change)) for change in changes]
    assert len({one.likeness for one in found}) == len(changes)
    assert len({(one.campaign_tracking_id, one.label) for one in found}) == len(changes)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"unknown": 1}, id="it has an unknown field"),
        pytest.param({"to": None}, id="it has no number"),
        pytest.param({"to": 306900000001}, id="its number is no text"),
        pytest.param({"to": "Routeetest"}, id="it is to no number"),
        pytest.param({"createdAt": ...}, id="it has no time of creation"),
        pytest.param({"createdAt": 1783247282996}, id="its time of creation is no text"),
        pytest.param({"createdAt": "2026-07-05T10:28:00Z"}, id="a time is spelt otherwise"),
        pytest.param({"createdAt": "1999-07-05T10:28:00.566Z"}, id="a time is absurd"),
        pytest.param({"campaignTrackingId": None}, id="it names no campaign"),
        pytest.param({"trackingId": "the message"}, id="its id is not plain"),
        pytest.param({"status": "Paused"}, id="its status is unknown"),
    ],
)
def test_what_is_unusual_is_not_found(change: dict[str, Any]) -> None:
    bodies = [_body(at, **change) for at in range(9)]
    known = _taught(bodies[:8])
    assert known.find(bodies[8], None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"label": _number(3)},
        {"label": _number(3)[1:]},
        {"label": _id(3)},
        {"label": AT},
        {"label": CREATED},
        {"body": {"text": f'Say "{_id(3)}" and "{_number(3)}" at "{AT}" or "{CREATED}"'}},
        {"applicationName": _id(3), "label": _id(3)},
        {"messageId": _id(3)},
        {_id(3): 1},
        {"label": "\ufdd0\ufdd1"},
        {"label": "a" * 36},
        {"label": "2031-02-03T04:05:06.789Z"},
    ],
    ids=str,
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_stands_twice_misleads_nobody(change: dict[str, Any], *, is_first: bool) -> None:
    def _told(at: int) -> bytes:
        told = json.loads(_body(at))
        return json.dumps(change | told if is_first else told | change).encode()

    known = _taught([_told(at) for at in (3, 3, 4, 4, 3)])
    for at in (3, 4, 5):
        found = known.find(_told(at), None)
        assert found is None or translate(_told(at)) == ((found,), None, frozenset())


@pytest.mark.parametrize("is_first", [True, False])
def test_equal_times_are_not_taken_for_each_other(*, is_first: bool) -> None:
    def _told(at: int, occurred: str, created: str) -> bytes:
        told = json.loads(_body(at, occurred))
        del told["createdAt"]
        its_creation = {"createdAt": created}
        return json.dumps(its_creation | told if is_first else told | its_creation).encode()

    equal = [_told(at, AT, AT) for at in range(4)]
    known = _taught(equal)
    for at in range(4):
        body = _told(at, AT, CREATED)
        found = known.find(body, None)
        assert found is None or translate(body) == ((found,), None, frozenset())
    known = _taught(equal + [_told(at, AT, CREATED) for at in range(2)])
    for body in [*equal, _told(5, CREATED, AT)]:
        assert known.find(body, None) == translate(body).records[0]


_widths = st.sampled_from(["0", "9", "a", "-", "|", '"', "\\", "\0", " ", "é", "\ufdd0", "T"])


@given(
    place=st.integers(0, 3),
    at=st.integers(0, 40),
    put=_widths | st.text(min_size=1, max_size=4),
    times=st.lists(
        st.sampled_from([AT, CREATED, "2026-02-30T10:28:02.996Z", "1999-01-01T00:00:00.000Z"]),
        min_size=2,
        max_size=2,
    ),
)
@example(place=2, at=10, put=" ", times=[AT, CREATED])
@example(place=3, at=19, put=",", times=[AT, CREATED])
@example(place=2, at=0, put="2026-W27-7T10:28:02.99", times=[AT, CREATED])
def test_it_never_says_anything_else_than_translate(
    place: int, at: int, put: str, times: list[str]
) -> None:
    body = _body(7, *times)
    first = (_id(7), _number(7), *times)[place].encode()
    begin = body.find(first) + min(at, len(first) - 1)
    written = put.encode("utf-8", "replace")
    changed = body[:begin] + written + body[begin + len(written) :]
    found = _KNOWN.find(changed, CAMPAIGN)
    if found is not None:
        assert translate(changed, campaign_id=CAMPAIGN) == ((found,), None, frozenset())


_KNOWN = _taught([_body(1), _body(2)])


@given(at=st.integers(0, len(_body(3)) - 1), octet=st.integers(0, 255))
def test_another_octet_anywhere_never_says_anything_else(at: int, octet: int) -> None:
    body = bytearray(_body(3))
    body[at] = octet
    found = _KNOWN.find(bytes(body), None)
    if found is not None:
        assert translate(bytes(body)) == ((found,), None, frozenset())


def test_what_was_changed_is_like_nothing_any_more() -> None:
    found = _found(_KNOWN, _body(5))
    changed = found._replace(payload=b"{}")
    assert isinstance(changed, LikeEvent)
    assert changed.likeness is None


def test_what_it_has_in_common_is_told_from_the_second_message_on() -> None:
    known = Alike()
    (first,), (second,) = (known.learn(translate(_body(at))).records for at in (1, 2))
    assert isinstance(first, LikeEvent)
    assert first.likeness is None
    assert isinstance(second, LikeEvent)
    assert second.likeness is not None
    assert second.likeness is _found(known, _body(3)).likeness
    expected = likeness_of(second)
    assert expected is not None
    assert second.likeness.skeleton == expected.skeleton
    assert second.likeness.shared == expected.shared


def test_bodies_of_several_events_are_not_learnt() -> None:
    translation = translate(b"[%b,%b]" % (_body(1), _body(2)))
    assert Alike().learn(translation) is translation
    single = translate(b"[%b]" % _body(1))
    assert Alike().learn(single) is single
    reply = translate(b'{"from":"+306900000000","direction":"Inbound","sentDate":"2026-07-05"}')
    assert Alike().learn(reply) is reply


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "MAX_TEMPLATES", 10)
    monkeypatch.setattr(alike, "MAX_CANDIDATES", 20)
    monkeypatch.setattr(alike, "MAX_SIZES", 5)
    known = Alike()
    for size in range(30):
        for at in (1, 2):
            known.learn(translate(_body(at, label="x" * size)))
    sizes = {len(_body(1, label="x" * size)) for size in range(30)}
    assert len(sizes) == 30
    assert sum(known.find(_body(3, label="x" * size), None) is not None for size in range(30)) == 5


def test_payloads_of_one_size_may_be_laid_out_in_several_ways() -> None:
    def _told(at: int, before: int) -> bytes:
        told = json.loads(_body(at, label="x" * (20 - before)))
        return json.dumps({"imageURL": "x" * before, **told}).encode()

    ways = range(MAX_LAYOUTS + 2)
    bodies = [[_told(at, before) for before in ways] for at in (1, 2, 3)]
    assert len({len(body) for body in bodies[2]}) == 1
    known = _taught([body for bodies_of_one in bodies[:2] for body in bodies_of_one])
    found = [known.find(body, None) for body in bodies[2]]
    assert sum(one is not None for one in found) == MAX_LAYOUTS


def test_a_campaign_of_the_token_is_that_of_the_event() -> None:
    found = _KNOWN.find(_body(4), CAMPAIGN)
    assert isinstance(found, DeliveryEvent)
    assert found.campaign_id == CAMPAIGN
