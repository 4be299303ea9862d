"""What is made of the histogram of how long messages took."""

from collections.abc import Sequence

from app.db.dashboard.figures import Bucket


def quantile_of(buckets: Sequence[Bucket], percent: int) -> float | None:
    """The seconds that *percent* of the messages in *buckets* took at most; None without any."""
    wanted = percent * sum(bucket.messages for bucket in buckets)
    reached = 0
    for bucket in buckets:
        reached += 100 * bucket.messages
        if reached >= wanted:
            return bucket.seconds
    return None
