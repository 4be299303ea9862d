"""`routee-receiver capacity`: what a load needs."""

from typing import Annotated, Final

import typer

from app.cli.listing import AsJson, show_rows
from app.db.database import API_POOL_ITEMS
from app.db.ingest import MOST_STUCK_COMMITS
from app.db.retention.runs import LONG_WORK_POOL_ITEMS
from app.domain.capacity import Load, Pools, estimate
from app.embedded.cluster import MAX_CONNECTIONS
from app.main import READS_AT_ONCE
from app.services.exports.exports import MAX_EXPORTS
from app.services.feed.pages import POOL_ITEMS

_TITLES: Final = ("part", "name", "value", "unit", "because")
#: Connections of each process of `serve` at most, and of one of them besides.
CONNECTIONS_OF_EACH: Final = {
    "callbacks": 1,
    "replays of the quarantine": 1,
    "API and duties": API_POOL_ITEMS,
    "lists": READS_AT_ONCE,
    "feed": POOL_ITEMS,
    "exports": MAX_EXPORTS,
}
CONNECTIONS_OF_ONE: Final = {
    "purging": LONG_WORK_POOL_ITEMS,
    "erasing": LONG_WORK_POOL_ITEMS,
    "reconciling": LONG_WORK_POOL_ITEMS,
    "abandoned commits": MOST_STUCK_COMMITS,
}

_Days = Annotated[
    int | None, typer.Option(min=1, help="As the setting of that name; without it, for ever.")
]


def capacity(  # noqa: PLR0913 (each is an option)
    *,
    per_day: Annotated[int, typer.Option(min=1, help="Callbacks a day.")],
    months: Annotated[int, typer.Option(min=1, max=600, help="For how long they come.")] = 12,
    peak: Annotated[
        float, typer.Option(min=1, help="The busiest second ÷ the average one of a day.")
    ] = 10,
    per_message: Annotated[float, typer.Option(min=1, help="Callbacks of one message.")] = 3,
    reply_percent: Annotated[
        float, typer.Option(min=0, max=1000, help="Replies to 100 messages.")
    ] = 1,
    retention_raw_days: _Days = None,
    retention_events_days: _Days = None,
    retention_messages_days: _Days = None,
    retention_inbound_days: _Days = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes of serve, each of its workers counted.")
    ] = 2,
    analysts: Annotated[
        int, typer.Option(min=0, help="Connections of analysts' programs at once.")
    ] = 10,
    max_connections: Annotated[
        int, typer.Option(min=1, help="That of your PostgreSQL.")
    ] = MAX_CONNECTIONS,
    as_json: AsJson = False,
) -> None:
    """
    Say what disk, memory, connections and cores a load needs, and why.

    An estimate from measured figures: docs/capacity.md says of what. Nothing is connected to.
    GB are 1000 MB.

    Example: routee-receiver capacity --per-day 2000000 --months 12 --retention-raw-days 90
    """
    load = Load(
        per_day=per_day,
        months=months,
        peak=peak,
        per_message=per_message,
        reply_percent=reply_percent,
        raw_days=retention_raw_days,
        events_days=retention_events_days,
        messages_days=retention_messages_days,
        inbound_days=retention_inbound_days,
        processes=processes,
        analysts=analysts,
    )
    rows = []
    for figure in estimate(load, Pools(CONNECTIONS_OF_EACH, CONNECTIONS_OF_ONE, max_connections)):
        value = round(figure.value, 1)
        shown: object = value if as_json else f"{value:,.1f}".removesuffix(".0")
        rows.append({**figure._asdict(), "value": shown})
    show_rows(_TITLES, rows, as_json=as_json)
