from collections import Counter

import pytest

from app.sandbox.fault_plan import FaultPlan
from app.sandbox.faults import CUT_AFTER, CUT_BEFORE, Endpoint, InjectedFault, garbage, server_error

SHARES: dict[InjectedFault, float] = {CUT_AFTER: 0.2, server_error(): 0.1}


def drawn(plan: FaultPlan, times: int = 1000) -> list[InjectedFault | None]:
    return [plan.next(Endpoint.CAMPAIGN) for _ in range(times)]


def test_without_a_plan_there_are_no_faults() -> None:
    assert set(drawn(FaultPlan(seed=1))) == {None}


def test_a_script_runs_once_in_order_and_for_its_endpoint_only() -> None:
    plan = FaultPlan(seed=1)
    plan.script(Endpoint.CAMPAIGN, CUT_AFTER, None)
    plan.script(Endpoint.CAMPAIGN, CUT_BEFORE)

    assert plan.next(Endpoint.TOKEN) is None
    assert drawn(plan, 4) == [CUT_AFTER, None, CUT_BEFORE, None]
    assert plan.met == {(Endpoint.CAMPAIGN, CUT_AFTER): 1, (Endpoint.CAMPAIGN, CUT_BEFORE): 1}


def test_a_script_comes_before_a_constant_fault() -> None:
    plan = FaultPlan(seed=1)
    plan.sometimes(Endpoint.CAMPAIGN, {garbage(): 1})
    plan.script(Endpoint.CAMPAIGN, None, CUT_AFTER)

    assert drawn(plan, 4) == [None, CUT_AFTER, garbage(), garbage()]


def test_faults_occur_with_their_probability() -> None:
    plan = FaultPlan(seed=1)
    plan.sometimes(Endpoint.CAMPAIGN, SHARES)
    counts = Counter(drawn(plan))

    assert 150 < counts[CUT_AFTER] < 250
    assert 60 < counts[server_error()] < 140
    assert counts.total() - counts[None] == plan.met.total()


def test_a_seed_repeats_the_faults_whatever_other_endpoints_do() -> None:
    def faults_of(seed: int, *, with_others: bool) -> list[InjectedFault | None]:
        plan = FaultPlan(seed=seed)
        plan.sometimes(Endpoint.CAMPAIGN, SHARES)
        plan.sometimes(Endpoint.TOKEN, SHARES)
        if with_others:
            plan.next(Endpoint.TOKEN)
        return drawn(plan, 100)

    assert faults_of(7, with_others=False) == faults_of(7, with_others=True)
    assert faults_of(7, with_others=False) != faults_of(8, with_others=False)


def test_after_clearing_there_are_no_more_faults() -> None:
    plan = FaultPlan(seed=1)
    for endpoint in (Endpoint.CAMPAIGN, Endpoint.TOKEN):
        plan.sometimes(endpoint, {CUT_BEFORE: 1})
        plan.script(endpoint, CUT_AFTER)
    plan.clear(Endpoint.CAMPAIGN)
    assert plan.next(Endpoint.CAMPAIGN) is None
    assert plan.next(Endpoint.TOKEN) is CUT_AFTER

    plan.clear()
    assert plan.next(Endpoint.TOKEN) is None


@pytest.mark.parametrize(
    "shares", [{CUT_AFTER: 1.1}, {CUT_AFTER: -0.1}, {CUT_AFTER: 0.6, CUT_BEFORE: 0.6}]
)
def test_probabilities_out_of_range_are_refused(shares: dict[InjectedFault, float]) -> None:
    with pytest.raises(ValueError, match="campaign"):
        FaultPlan(seed=1).sometimes(Endpoint.CAMPAIGN, shares)
