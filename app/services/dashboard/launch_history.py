"""How a campaign came about and how far it came, in sentences."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from app.db.campaigns import CampaignTimes
from app.db.tables import CampaignProgressRow, CampaignRow
from app.domain.campaign import Submission
from app.domain.explained_words import SUBMISSIONS


class HistoryStep(NamedTuple):
    """Something that happened to a campaign."""

    #: None if it is not known when.
    at: datetime | None
    #: A sentence. It may quote Routee.
    text: str


def launch_history(
    campaign: CampaignRow, times: CampaignTimes, reports: Sequence[CampaignProgressRow]
) -> list[HistoryStep]:
    """What is known of *campaign*, in the order of time; what has no time follows its beginning."""
    steps = [*_steps(campaign, times), *map(_report, reports)]
    return sorted(steps, key=lambda step: step.at or campaign.created_at)


def _steps(campaign: CampaignRow, times: CampaignTimes) -> Iterator[HistoryStep]:
    if campaign.submission == Submission.OBSERVED:
        known = "It became known by a callback: it was not launched here."
    else:
        name = f" under the name “{campaign.name}”" if campaign.name else ""
        made_up = ", which this service made up" if campaign.name_generated else ""
        known = f"A program asked this service to launch it{name}{made_up}."
    yield HistoryStep(campaign.created_at, known)
    if campaign.submission != Submission.OBSERVED:
        yield from _submission(campaign)
    if campaign.scheduled_at is not None:
        yield HistoryStep(campaign.scheduled_at, "For this time it was scheduled.")
    if times.first_event_at is not None:
        yield HistoryStep(times.first_event_at, "The first event of a message, as Routee dates it.")
    if times.last_event_at is not None and times.last_event_at != times.first_event_at:
        yield HistoryStep(times.last_event_at, "The latest event of a message so far.")
    if campaign.finished_at is not None:
        yield HistoryStep(
            campaign.finished_at, "It was finished: nothing more is to come but late callbacks."
        )


def _submission(campaign: CampaignRow) -> Iterator[HistoryStep]:
    asked = "once" if campaign.attempts == 1 else f"{campaign.attempts} times"
    yield HistoryStep(None, f"Routee was asked for it {asked}.")
    reason = f" The reason: {campaign.submission_reason}" if campaign.submission_reason else ""
    yield HistoryStep(None, f"{SUBMISSIONS[Submission(campaign.submission)].text}{reason}")
    if campaign.submission == Submission.LAUNCHED and campaign.expected_messages is not None:
        yield HistoryStep(None, f"Routee announced {campaign.expected_messages:,} messages.")
    if campaign.next_attempt_at is not None:
        yield HistoryStep(campaign.next_attempt_at, "Routee is asked again, under the same name.")
    if campaign.lease_until is not None:
        yield HistoryStep(campaign.lease_until, "Until then a process may be asking Routee for it.")


def _report(report: CampaignProgressRow) -> HistoryStep:
    counts = ", ".join(f"{number:,} {word}" for word, number in report.message_statuses.items())
    status = f"“{report.status}”" if report.status else "no status"
    return HistoryStep(
        report.ordered_at,
        f"Routee reported of the campaign as a whole: {status}{f' ({counts})' if counts else ''}.",
    )
