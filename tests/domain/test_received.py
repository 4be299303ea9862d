import math
from fractions import Fraction

import pytest

from app.domain.received import Measure, quantile, share_in_time

_LAG = Measure.PROVIDER_LAG_SECONDS
_HALF = Fraction(1, 2)


def test_what_took_longer_than_routee_waits_was_not_answered_in_time() -> None:
    taken = {(Measure.ANSWER_SECONDS, bucket): 1 for bucket in ("0.005", "2", "5", "inf")}
    assert share_in_time(taken) == 0.5
    assert share_in_time({}) is None


@pytest.mark.parametrize(
    ("share", "at_most"), [(Fraction(0), 1), (_HALF, 1), (Fraction(51, 100), 10), (Fraction(1), 10)]
)
def test_a_quantile_is_the_end_of_the_bucket_in_which_it_lies(
    share: Fraction, at_most: float
) -> None:
    lags = {(_LAG, "10"): 5, (_LAG, "1"): 5, (_LAG, "0.5"): 0, (Measure.ANSWER, "stored"): 99}
    assert quantile(lags, _LAG, share) == at_most


def test_a_quantile_of_nothing_is_unknown_and_one_beyond_the_buckets_infinite() -> None:
    assert quantile({}, _LAG, _HALF) is None
    assert quantile({(_LAG, "1"): 0}, _LAG, _HALF) is None
    assert quantile({(_LAG, "1"): 1, (_LAG, "inf"): 2}, _LAG, _HALF) == math.inf
