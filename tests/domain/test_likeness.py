"""A skeleton, filled with what is an event's own, is its payload."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import DeliveryEvent
from app.domain.likeness import filled, likeness_of, own_of, parts_of, skeleton_of
from tests.db.feed_stage import START, event

AT = START + timedelta(milliseconds=17)


def _spelt(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(payload: str, message: str = "m", recipient: str | None = "+30") -> DeliveryEvent:
    told = event(message, "SENT", at=AT)._replace(description="one", recipient=recipient)
    return told._replace(payload=payload.encode())


@given(
    pieces=st.lists(
        st.sampled_from(["m", "30", "+", "6", _spelt(AT), _spelt(START), "\ufdd0", "\ufdfa", "x"])
    ),
    message=st.sampled_from(["m", "30", "6m", _spelt(AT)]),
    recipient=st.sampled_from(["+30", "30", "+6", "m", None]),
)
def test_a_skeleton_is_filled_to_the_same_bytes(
    pieces: list[str], message: str, recipient: str | None
) -> None:
    told = _event("".join(pieces), message, recipient)
    own = own_of(told)
    skeleton = None if own is None else skeleton_of(told.payload, own)
    if own is None or skeleton is None:
        assert not pieces or {"\ufdd0", "\ufdfa"} & set(pieces)
        return
    assert own == tuple(
        value.encode()
        for value in (message, (recipient or "").lstrip("+"), _spelt(AT), _spelt(START))
    )
    assert filled(skeleton, own) == told.payload
    texts, marks = parts_of(skeleton)
    assert len(texts) == len(marks) + 1
    assert len(set(marks)) == len(marks)


def test_a_likeness_has_what_others_may_tell_too() -> None:
    payload = f'{{"id":"m","to":"+30","at":"{_spelt(AT)}","created":"{_spelt(START)}"}}'
    likeness = likeness_of(_event(payload))
    assert likeness is not None
    assert likeness.skeleton.decode() == (
        '{"id":"\ufdd0","to":"+\ufdd1","at":"\ufdd2","created":"\ufdd3"}'
    )
    assert likeness.shared == ("SENT", None, "one", "c", "Shop", "GR", None, None)
    assert likeness_of(_event(payload)) != likeness
    assert likeness_of(_event("")) is None
