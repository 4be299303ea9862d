"""Events as they may come: few ids, words and times, so that they collide, and any field absent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from app.domain.event import UNKNOWN_TIME, DeliveryEvent, Source

_START = datetime(2026, 3, 1, tzinfo=UTC)

WORDS = st.sampled_from(
    [
        "QUEUED",
        "Queued",
        "SENT",
        "UNDELIVERED",
        "EXPIRED",
        "FAILED",
        "failed",
        "UNSENT",
        "DELIVERED",
        "delivered",
        "Delivered",
        "SEEN",
        "CLICKED",
        "",
    ]
)
TIMES = st.one_of(
    st.just(UNKNOWN_TIME),
    st.integers(min_value=0, max_value=4).map(lambda days: _START + timedelta(days=days * 20)),
)
MESSAGES = st.sampled_from(["m1", "m2", "é", "Z", "a"])


def _maybe(*values: object) -> st.SearchStrategy:
    return st.sampled_from([None, *values])


@st.composite
def events(draw: st.DrawFn) -> DeliveryEvent:
    word = draw(WORDS)
    key = word.upper()
    at = draw(TIMES)
    is_told_apart = bool(key) and at is not UNKNOWN_TIME
    return DeliveryEvent(
        message_tracking_id=draw(MESSAGES),
        status_key=key,
        occurred_at=at,
        digest=b"" if is_told_apart else draw(st.sampled_from([b"one", b"other"])),
        provider_status=word,
        detailed_status=draw(_maybe("Opted Out", "Delivered", "System Failure")),
        description=draw(_maybe("one", "two", "Ω")),
        campaign_tracking_id=draw(_maybe("c1", "c2", "C3")),
        campaign_id=None,
        recipient=draw(
            _maybe("+306912345678", "+306912345679", "+30 691", " 30", "(0)", "Routee", "+0030691")
        ),
        sender=draw(_maybe("Shop", "shop", "Éshop")),
        country=draw(_maybe("GR", "DE")),
        label=draw(_maybe("spring", "Spring", "ß")),
        price=draw(_maybe(Decimal("0.035"), Decimal("0.0351"), Decimal(0), Decimal(-1))),
        created_at=draw(_maybe(_START, _START + timedelta(hours=1))),
        source=draw(st.sampled_from(Source)),
        payload=b"{}",
        payload_dictionary=0,
        payload_reserialised=False,
    )


@st.composite
def deliveries(draw: st.DrawFn) -> list[DeliveryEvent]:
    """Some events, some of them repeated, in any order."""
    distinct = draw(st.lists(events(), min_size=1, max_size=12))
    repeated = draw(st.lists(st.sampled_from(distinct), max_size=6))
    return draw(st.permutations(distinct + repeated))
