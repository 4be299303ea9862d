"""Bodies of the quarantine as lists and pages show them."""

from contextlib import suppress
from typing import Final, NamedTuple

from app.db.quarantine import QuarantinedBody
from app.domain.explained_words import QUARANTINE_REASONS, REPLAY_OUTCOMES
from app.domain.explanations import Explanation
from app.domain.quarantine import Reason, ReplayOutcome, preview_of
from app.web.octets import visible
from app.web.visit import Visit

_PREVIEW_CHARACTERS: Final = 160


class BodyLine(NamedTuple):
    """A body, and what its words mean."""

    body: QuarantinedBody
    reason: Explanation
    preview: str
    #: None as long as it was not replayed.
    outcome: Explanation | None
    #: Why a replay has not stored all of it.
    replay_reason: Explanation | None


def line_of(visit: Visit, body: QuarantinedBody) -> BodyLine:
    """*body* as the person of *visit* may see it."""
    preview = visible(visit.text(preview_of(body.beginning, visit.parts.mask)))
    return BodyLine(
        body,
        explained_reason(body.reason),
        " ".join(preview.split())[:_PREVIEW_CHARACTERS],
        None if body.replay_outcome is None else explained_outcome(body.replay_outcome),
        None if body.replay_reason is None else explained_reason(body.replay_reason),
    )


def explained_reason(reason: str) -> Explanation:
    """What *reason* means; another version may have written it."""
    with suppress(ValueError):
        return QUARANTINE_REASONS[Reason(reason)]
    return Explanation(reason, "This version does not know that reason.")


def explained_outcome(outcome: str) -> Explanation:
    """What *outcome* of a replay means; another version may have written it."""
    with suppress(ValueError):
        return REPLAY_OUTCOMES[ReplayOutcome(outcome)]
    return Explanation(outcome, "This version does not know that outcome.")
