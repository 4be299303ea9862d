"""The charts of one campaign."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from app.db.dashboard.figures import FailureReason, HourlyEvents
from app.domain.explanations import STATUSES
from app.domain.status import FAILURES, Status
from app.services.dashboard.campaign import CampaignStory
from app.web.charts import (
    Chart,
    Item,
    Kind,
    Point,
    Series,
    columns_over_time,
    funnel,
    horizontal_bars,
)
from app.web.visit import Visit

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
#: By hour, so much is drawn: a column for each hour.
_HOURS: Final = 120
#: Times beyond are mistakes of a clock, and are not filled with columns of nothing.
_MAX_FILLED: Final = 1_000
_SERIES: Final = (
    (Series("Sent", Kind.SENT), frozenset({Status.SENT})),
    (Series("Delivered", Kind.DELIVERED), frozenset({Status.DELIVERED})),
    (Series("Seen", Kind.SEEN), frozenset({Status.SEEN})),
    (Series("Failed", Kind.FAILED), FAILURES),
)


class CampaignCharts(NamedTuple):
    """What is drawn of a campaign."""

    funnel: Chart
    reasons: Chart
    by_hour: Chart
    #: None where all was on one day.
    by_day: Chart | None
    #: Events that Routee reported without a time.
    undated: int
    #: Whether hours before those drawn are left out.
    is_cut: bool


def charts_of(visit: Visit, story: CampaignStory) -> CampaignCharts:
    """The charts of *story*, as the person of *visit* may see them."""
    dated = [it for it in story.figures.hours if it.hour is not None]
    hours, days = _counted(dated, _HOUR), _counted(dated, _DAY)
    return CampaignCharts(
        funnel=funnel(story.total, story.arrived, story.seen, story.replies.number),
        reasons=horizontal_bars(
            _reasons(visit, story.figures.reasons), caption="Failures by reason"
        ),
        by_hour=_over_time(hours[-_HOURS:], _HOUR),
        by_day=_over_time(days, _DAY) if len(days) > 1 else None,
        undated=sum(it.events for it in story.figures.hours if it.hour is None),
        is_cut=len(hours) > _HOURS,
    )


def _reasons(visit: Visit, reasons: Iterable[FailureReason]) -> list[Item]:
    """Each status and reason, whatever Routee described it with."""
    counted: dict[str, int] = {}
    for reason in reasons:
        why = visit.text(reason.detailed_status) or "no reason given"
        label = f"{STATUSES[reason.status].name}: {why}"
        counted[label] = counted.get(label, 0) + reason.messages
    items = [Item(label, number) for label, number in counted.items()]
    return sorted(items, key=lambda item: -item.number)


def _over_time(points: Sequence[Point], step: timedelta) -> Chart:
    return columns_over_time(
        points, [series for series, _ in _SERIES], caption="Events of messages", step=step
    )


def _counted(events: Iterable[HourlyEvents], step: timedelta) -> list[Point]:
    """What happened in each *step*, in the order of time."""
    numbers: dict[datetime, list[int]] = {}
    for hour, status, times in events:
        if hour is None:
            continue
        begin = hour if step == _HOUR else hour.replace(hour=0)
        of_step = numbers.setdefault(begin, [0] * len(_SERIES))
        for at, (_, statuses) in enumerate(_SERIES):
            of_step[at] += times if status in statuses else 0
    return [
        Point(begin, numbers.get(begin, [0] * len(_SERIES))) for begin in _filled(numbers, step)
    ]


def _filled(begins: Iterable[datetime], step: timedelta) -> list[datetime]:
    """All steps from the first to the last one."""
    known = sorted(begins)
    if not known:
        return []
    steps = (known[-1] - known[0]) // step + 1
    return known if steps > _MAX_FILLED else [known[0] + at * step for at in range(steps)]
