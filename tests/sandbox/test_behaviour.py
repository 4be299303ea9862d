import math

import pytest

from app.sandbox.behaviour import Behaviour


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("callbacks_per_second", 0),
        ("duplicate_share", 1.1),
        ("lost_share", -0.1),
        ("delay_seconds", -1),
        ("connections", 0),
        ("time_scale", -1),
        ("duplicate_share", math.nan),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Behaviour(**{name: value})  # type: ignore[arg-type]


def test_an_infinite_rate_is_allowed() -> None:
    assert Behaviour(callbacks_per_second=math.inf).callbacks_per_second == math.inf
