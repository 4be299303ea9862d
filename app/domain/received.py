"""What processes count of the callbacks that they receive, and what is made of the sums."""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Final

#: Of one of these was counted so often: the answer, the outcome or the bucket of a measure.
Counted = Mapping[tuple["Measure", str], int]

#: Routee hangs up after so many seconds. It is the upper end of a bucket.
IN_TIME_SECONDS: Final = 2.0
#: Answers that say that a callback is durable.
DURABLE_ANSWERS: Final = frozenset({"stored", "buffered", "quarantined"})
#: The answer 503: Routee repeats the callback.
NOT_STORED: Final = "not-stored"
#: To a request that carries no callback.
READY: Final = "ready"


class Measure(StrEnum):
    """What is counted."""

    #: Requests to the callback URLs, by what they were answered.
    ANSWER = "answer"
    #: Events, replies and reports of campaigns, by outcome: fresh or duplicate.
    RECORD = "record"
    #: Posted callbacks by the time to their answer: the upper end of a bucket in seconds.
    ANSWER_SECONDS = "answer-seconds"
    #: Events by the time from their own to their commit, likewise.
    PROVIDER_LAG_SECONDS = "provider-lag-seconds"


def of_measure(counted: Counted, measure: Measure) -> dict[str, int]:
    """What was *counted* of *measure*."""
    return {bucket: times for (of, bucket), times in counted.items() if of is measure}


def share_in_time(counted: Counted) -> float | None:
    """Which part of the posted callbacks was answered before Routee hangs up; None without any."""
    taken = of_measure(counted, Measure.ANSWER_SECONDS)
    total = sum(taken.values())
    in_time = sum(times for bucket, times in taken.items() if float(bucket) <= IN_TIME_SECONDS)
    return in_time / total if total else None


def quantile(counted: Counted, measure: Measure, share: Fraction) -> float | None:
    """
    So many seconds, at most, *share* of the values of *measure* took; None without any.

    It is the upper end of a bucket: infinite, if that is the last one.
    """
    buckets = sorted(
        (float(bucket), times) for bucket, times in of_measure(counted, measure).items()
    )
    wanted = share * sum(times for _, times in buckets)
    reached = 0
    for end, times in buckets:
        reached += times
        if times and reached >= wanted:
            return end
    return None
