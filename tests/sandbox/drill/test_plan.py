from itertools import pairwise

from app.sandbox.drill.plan import FaultKind, PlannedFault, make_plan

KINDS = [
    FaultKind("killed", "server", (0.5, 2.0), weight=3),
    FaultKind("frozen", "server", (1.0, 3.0)),
    FaultKind("cut", "sessions", (0.0, 0.0)),
]


def _plan(seed: int, *, seconds: float = 120) -> list[PlannedFault]:
    return make_plan(KINDS, seed=seed, seconds=seconds, calm=(1.0, 4.0))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_one() -> None:
    assert _plan(1) == _plan(1)
    assert _plan(1) != _plan(2)


def test_failures_of_a_lane_follow_each_other_and_end_in_time() -> None:
    for lane in ("server", "sessions"):
        its = [fault for fault in _plan(3) if fault.kind.lane == lane]
        assert len(its) > 10
        assert all(one.at + one.seconds < other.at for one, other in pairwise(its))
        assert its[-1].at + its[-1].seconds <= 120


def test_every_kind_comes_before_any_comes_twice_also_in_a_run_that_is_too_short() -> None:
    for seconds in (60, 1):
        plan = _plan(4, seconds=seconds)
        names = [fault.kind.name for fault in plan if fault.kind.lane == "server"]
        assert set(names[:2]) == {"killed", "frozen"}


def test_a_lane_is_the_same_whatever_other_lanes_there_are() -> None:
    alone = make_plan(KINDS[:2], seed=5, seconds=120, calm=(1.0, 4.0))
    assert alone == [fault for fault in _plan(5) if fault.kind.lane == "server"]
