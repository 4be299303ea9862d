import pytest

from tests.bench.figure import Bound, Figure, Verdict
from tests.bench.report import missed

FLOOR = Bound(0.35, 0.5)


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        ([0.1, 0.34, 0.9], Verdict.MISSED),
        ([0.1, 0.35, 0.9], Verdict.REACHED),
        ([0.1, 0.5, 0.9], Verdict.AIM),
    ],
)
def test_the_median_is_held_against_the_bound(rounds: list[float], verdict: Verdict) -> None:
    assert FLOOR.verdict(rounds) is verdict


def test_a_ceiling_is_held_against_from_below() -> None:
    ceiling = Bound(250, 150, is_ceiling=True)
    assert ceiling.verdict([251]) is Verdict.MISSED
    assert ceiling.verdict([250]) is Verdict.REACHED
    assert ceiling.verdict([150]) is Verdict.AIM


def test_one_round_breaks_what_must_hold_in_every_round() -> None:
    assert Bound(1, in_every_round=True).verdict([1, 1, 0.999]) is Verdict.MISSED
    assert Bound(250, is_ceiling=True, in_every_round=True).verdict([1, 251]) is Verdict.MISSED
    assert Bound(1, in_every_round=True).verdict([1, 1]) is Verdict.REACHED


def test_only_figures_below_their_bound_are_missed() -> None:
    figures = [
        Figure("slow", "slow one", [0.3], FLOOR),
        Figure("fast", "fast one", [0.4], FLOOR),
        Figure("free", "unbound one", [0.0]),
    ]
    assert list(missed(figures)) == ["slow one: 0.300, wanted ≥ 0.35, aim 0.5"]
