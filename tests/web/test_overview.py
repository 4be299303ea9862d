"""The first page: what comes, what waits, and what a person on call should look at."""

from collections.abc import Callable, Iterator

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import Loop, Service, new_id, progress, running, status
from tests.conftest import fresh_database
from tests.web.conftest import Browser, words_of

_Browsers = Callable[..., Browser]
_RECEIVED = """
INSERT INTO received_lately
SELECT date_bin('5 minutes', now() - ago * interval '1 hour', 'epoch'), measure, bucket, times
FROM (VALUES
    (0, 'answer', 'stored', 1234), (20, 'answer', 'stored', 2), (30, 'answer', 'stored', 90000),
    (0, 'answer', 'quarantined', 3), (0, 'answer', 'not-stored', 17), (0, 'answer', 'too-slow', 5),
    (0, 'record', 'duplicate', 76), (0, 'answer-seconds', '0.01', 97),
    (0, 'answer-seconds', '5', 3), (0, 'provider-lag-seconds', '2', 60),
    (0, 'provider-lag-seconds', '30', 40)
) AS given (ago, measure, bucket, times)
"""


@pytest.fixture
def own(loop: Loop, server_url: str) -> Iterator[Service]:
    """A service whose database no other test has."""
    with fresh_database(server_url) as url, running(loop, url) as service:
        yield service


def test_an_empty_service_has_an_overview(own: Service, browser: _Browsers) -> None:
    words = browser(Scope.READ, of=own).words("/ui/")
    assert "Newest callback none yet" in words
    assert "Nothing is awaited of any campaign." in words
    assert "Look here" not in words


def test_the_overview_says_what_came_of_late(own: Service, browser: _Browsers) -> None:
    own.sql(_RECEIVED)
    words = browser(Scope.READ, of=own).words("/ui/")
    for line in (
        "Stored 1,234 1,236",
        "Quarantined 3 3",
        "Not stored in time (503) 17 17",
        "Refused (4xx) 5 5",
        "Events and replies that were known already 76 76",
        "Answered within 2 s 97.0 % 97.0 %",
        "half of the events at most 2.0 s at most 2.0 s",
        "95 % of the events at most 30 s at most 30 s",
    ):
        assert line in words
    assert "17 callbacks of the last hour were answered 503" in words
    assert "Only 97.0 % of the callbacks of the last hour" in words


def test_the_overview_shows_where_messages_stand_and_what_waits(
    own: Service, browser: _Browsers
) -> None:
    campaign = new_id("c")
    for number, word in enumerate(("QUEUED", "SEEN", "SEEN")):
        own.stored(
            progress(trackingId=f"m{number}", campaignTrackingId=campaign, status=status(word))
        )
    own.quarantined(b"no callback")
    unconfirmed, _ = own.add_campaign(submission="unconfirmed")
    page = browser(Scope.READ, of=own).page("/ui/")
    words = words_of(page)
    assert " s ago Awaited" in words
    assert "Awaited messages 1 " in words
    assert "Unconfirmed launches 1 " in words
    assert "Quarantined bodies 1 " in words
    assert "Seen 2 67 %" in words
    assert "Queued 1 33 %" in words
    assert "3 messages: 2 seen, 1 queued." in words
    assert f"/ui/campaigns/{unconfirmed}" in page
    assert "Look here" not in words


def test_silence_while_messages_are_awaited_is_said(own: Service, browser: _Browsers) -> None:
    own.stored(progress(status=status("QUEUED")))
    own.sql("UPDATE events SET received_at = received_at - interval '40 minutes'")
    words = browser(Scope.READ, of=own).words("/ui/")
    assert "Nothing for 40 min, while 1 message is awaited." in words
    assert "schema 0002" in words
