"""`routee-receiver campaign`: launches that only a person can settle."""

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.running import run_with_database, say
from app.domain.campaign import Submission
from app.domain.tracking_id import canonical_id
from app.services.launching.settling import resolve as resolve_campaign

app = typer.Typer(no_args_is_help=True, help="Settle launches that only a person can settle.")


class LaunchOutcome(StrEnum):
    """The outcome of a launch, as a person finds it in Routee's console."""

    LAUNCHED = Submission.LAUNCHED.value
    REJECTED = Submission.REJECTED.value


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


@app.callback()
def _group() -> None:
    """Keep `resolve` a command of a group: typer would make a single command the group itself."""
