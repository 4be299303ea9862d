"""`routee-receiver campaign`: lists launches, and settles those that only a person can settle."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from app.cli.listing import AsJson, show_rows
from app.cli.running import run_with_database, say
from app.db.campaigns import CampaignFilter, page_of_campaigns
from app.domain.campaign import Submission
from app.domain.tracking_id import canonical_id
from app.services.launching.settling import resolve as resolve_campaign

app = typer.Typer(
    no_args_is_help=True, help="List campaigns, and settle launches that only a person can settle."
)

_LISTED_ITEMS: Final = 1000
_TITLES: Final = ("id", "submission", "created", "attempts", "trackingId", "name")


class LaunchOutcome(StrEnum):
    """The outcome of a launch, as a person finds it in Routee's console."""

    LAUNCHED = Submission.LAUNCHED.value
    REJECTED = Submission.REJECTED.value


@app.command(name="list")
def list_campaigns(
    *,
    submission: Annotated[
        list[Submission] | None,
        typer.Option("--submission", help="Only in this state; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = _LISTED_ITEMS,
    as_json: AsJson = False,
) -> None:
    """
    List campaigns, the newest first. GET /v1/campaigns shows all of them.

    Example: routee-receiver campaign list --submission unconfirmed
    """
    wanted = CampaignFilter(submissions=tuple(submission or ()))
    found = run_with_database(
        lambda database: page_of_campaigns(database, wanted, before=None, limit=limit + 1)
    )
    rows = [
        {
            "id": str(one.id),
            "submission": one.submission,
            "created": one.created_at,
            "attempts": one.attempts,
            "trackingId": one.tracking_id,
            "name": one.name,
        }
        for one in found[:limit]
    ]
    show_rows(_TITLES, rows, as_json=as_json, absent="-")
    if len(found) > limit:
        say(f"There are more than {limit}: narrow them down, or raise --limit.")


@app.command()
def resolve(
    campaign: Annotated[str, typer.Argument(help="Our id of the campaign.")],
    outcome: Annotated[LaunchOutcome, typer.Argument(help="What Routee's console shows.")],
    tracking_id: Annotated[
        str | None,
        typer.Option(
            parser=canonical_id,
            metavar="TEXT",
            help="Routee's trackingId of the campaign, if it was launched.",
        ),
    ] = None,
) -> None:
    """
    Record the outcome of an unconfirmed launch.

    Look it up by its name in Routee's console first: a launch that is recorded as rejected may be
    repeated, and would be paid for twice if Routee had accepted it.

    Example: routee-receiver campaign resolve 019… launched --tracking-id ef03cac2-…
    """
    campaign_id = run_with_database(
        lambda database: resolve_campaign(
            database, campaign, Submission(outcome.value), routee_id=tracking_id
        )
    )
    say(f"Campaign {campaign_id} is {outcome.value}.")
