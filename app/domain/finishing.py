"""When a campaign is finished, and what is overdue then."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from app.domain.campaign import Submission
from app.domain.status import RANK, Status, is_final

#: How long Routee tries to deliver a message whose launch says nothing of it.
DEFAULT_TTL: Final = timedelta(days=14)
#: For so long Routee repeats a callback that was not answered with 200.
REPETITIONS: Final = timedelta(hours=40)
#: Launches that Routee has accepted, or that became known by their callbacks. Others send nothing.
SENT: Final = frozenset({Submission.LAUNCHED, Submission.OBSERVED})


def final_count(counted: Mapping[str, int]) -> int:
    """How many of the messages *counted* by status have a final one."""
    return sum(counted.get(status, 0) for status in Status if is_final(RANK[status]))


def overdue(
    counted: Mapping[str, int], expected: int | None, *, submission: str, is_finished: bool
) -> int:
    """How many expected messages of a finished campaign have no final status now."""
    if not is_finished or submission not in SENT:
        return 0
    return max(expected or 0, sum(counted.values())) - final_count(counted)
