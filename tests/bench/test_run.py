from tests.bench.run import Counts, losses
from tests.bench.wrk import Load

LOAD = Load(
    answered=100,
    refused=0,
    lost=0,
    sent=102,
    distinct=97,
    seconds=1.0,
    connections=2,
    p50_ms=1.0,
    p99_ms=1.0,
    p999_ms=1.0,
)
OURS = {"fresh": 97, "duplicate": 5, "quarantined": 0, "rows": 97}


def _broken(added: Counts) -> list[str]:
    return list(losses(LOAD, added))


def test_nothing_is_lost_when_all_that_was_sent_is_stored() -> None:
    assert _broken(OURS) == []
    assert _broken({"rows": 97}) == []


def test_what_was_left_unanswered_may_be_stored_or_not() -> None:
    assert _broken({"rows": 95}) == []
    assert _broken({"fresh": 95, "duplicate": 5, "quarantined": 0, "rows": 95}) == []


def test_a_row_less_or_more_is_a_fault() -> None:
    assert "each event that was sent and answered is a row" in _broken({"rows": 94})[0]
    assert "no row was not sent" in _broken({"rows": 98})[0]


def test_ours_must_say_what_it_has() -> None:
    assert "what is new is a row" in _broken({**OURS, "fresh": 96})[0]
    assert "what is acknowledged is stored" in _broken({**OURS, "duplicate": 2})[0]
    assert "nothing is in the quarantine" in _broken({**OURS, "quarantined": 1})[0]


def test_what_stores_nothing_can_lose_nothing() -> None:
    assert _broken({}) == []
