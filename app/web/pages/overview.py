"""The first page: whether callbacks come and are taken, and what waits for a person."""

from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from app.services.dashboard.overview import Overview, Received, overview_of
from app.web.charts import bar_of_counts
from app.web.charts.words import NO_NUMBER
from app.web.pages.campaigns.lines import lines_of
from app.web.rendering import age, count, duration, share
from app.web.routes import PageRoute
from app.web.visit import Visit

#: So long without a callback, while messages are awaited, is worth a look.
_QUIET: Final = timedelta(minutes=30)


async def show_overview(visit: Visit) -> Response:
    """How the service does at this moment."""
    now = visit.parts.clock()
    overview = await overview_of(visit.parts.reads, now)
    total = sum(overview.standing.counts.values())
    return visit.page(
        "overview.html",
        title="Overview",
        is_live=True,
        overview=overview,
        warnings=_warnings(overview, now),
        newest=_newest(overview, now),
        periods=[("last hour", overview.last_hour), ("last 24 hours", overview.last_day)],
        in_time=_in_time,
        lag=_lag,
        bar=bar_of_counts(overview.standing.counts),
        shares={
            status: share(number, total) for status, number in overview.standing.counts.items()
        },
        lines=lines_of(visit, overview.in_progress),
        unconfirmed=overview.unconfirmed,
    )


def _newest(overview: Overview, now: datetime) -> str:
    at = overview.newest_callback_at
    return "none yet" if at is None else f"{age(now - at)} ago"


def _warnings(overview: Overview, now: datetime) -> list[str]:
    """What a person on call should look at, in sentences."""
    warnings = []
    newest, awaited = overview.newest_callback_at, overview.standing.awaited
    if awaited and (newest is None or now - newest > _QUIET):
        since = (
            "No callback has ever come" if newest is None else f"Nothing for {age(now - newest)}"
        )
        messages = "1 message is" if awaited == 1 else f"{count(awaited)} messages are"
        warnings.append(f"{since}, while {messages} awaited.")
    hour = overview.last_hour
    if hour.not_stored:
        warnings.append(
            f"{count(hour.not_stored)} callbacks of the last hour were answered 503, as they could "
            "not be stored in time. Routee sends them again, up to twelve times in 40 hours."
        )
    if hour.share_in_time is not None and hour.share_in_time < 0.99:  # noqa: PLR2004 (as the alert)
        warnings.append(
            f"Only {share(hour.share_in_time, 1)} of the callbacks of the last hour were answered "
            "within 2 s. Routee hangs up then, and sends them again."
        )
    return warnings


def _in_time(received: Received) -> str:
    return NO_NUMBER if received.share_in_time is None else share(received.share_in_time, 1)


def _lag(seconds: float | None) -> str:
    """How long, at most, an event took from Routee to the commit."""
    if seconds is None:
        return NO_NUMBER
    if seconds == float("inf"):
        return "more than 2 days"
    return f"at most {duration(seconds)}"


ROUTES: Final = (PageRoute("/ui/", show_overview),)
