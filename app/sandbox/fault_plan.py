"""The plan that decides the fault of each request to the simulated Routee."""

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from random import Random

from app.sandbox.faults import Endpoint, InjectedFault


class FaultPlan:
    """
    The faults of the next requests; initially none.

    Scripted faults come before random ones. Random faults of an endpoint are drawn for each request
    in the order of arrival, and depend on the seed alone.
    """

    def __init__(self, *, seed: int) -> None:
        #: The number of requests that had each fault so far.
        self.met: Counter[tuple[Endpoint, InjectedFault]] = Counter()
        self._scripts: dict[Endpoint, deque[InjectedFault | None]] = {
            one: deque() for one in Endpoint
        }
        self._shares: dict[Endpoint, Mapping[InjectedFault, float]] = {}
        # Scenarios have their own generator, so a fault does not change what happens to a message.
        self._draws = {one: Random(f"{seed}/{one}") for one in Endpoint}  # noqa: S311

    def script(self, endpoint: Endpoint, *faults: InjectedFault | None) -> None:
        """Give the next requests these faults in turn, after earlier scripts; None is no fault."""
        self._scripts[endpoint].extend(faults)

    def sometimes(self, endpoint: Endpoint, shares: Mapping[InjectedFault, float]) -> None:
        """
        Give each request one of these faults with its probability, 0 to 1, from now on.

        Replaces the earlier probabilities of *endpoint*, but not its script.

        Raises:
            ValueError: a probability is out of range, or their sum is more than 1.
        """
        total = math.fsum(shares.values())
        if not all(0 <= share <= 1 for share in shares.values()) or total > 1 + 1e-9:
            raise ValueError(f"each probability for {endpoint} and their sum must be 0 to 1")
        self._shares[endpoint] = dict(shares)

    def clear(self, endpoint: Endpoint | None = None) -> None:
        """Plan no fault for *endpoint*, or for any endpoint, from now on."""
        for one in Endpoint if endpoint is None else (endpoint,):
            self._scripts[one].clear()
            self._shares.pop(one, None)

    def next(self, endpoint: Endpoint) -> InjectedFault | None:
        """The fault of the current request, which is counted."""
        script = self._scripts[endpoint]
        fault = script.popleft() if script else self._drawn(endpoint)
        if fault is not None:
            self.met[endpoint, fault] += 1
        return fault

    def _drawn(self, endpoint: Endpoint) -> InjectedFault | None:
        shares = self._shares.get(endpoint)
        if not shares:
            return None
        drawn = self._draws[endpoint].random()
        return next((fault for fault, until in _ranges(shares) if drawn < until), None)


def _ranges(shares: Mapping[InjectedFault, float]) -> Iterator[tuple[InjectedFault, float]]:
    """Each fault with the end of its range; the ranges divide 0 to 1."""
    until = 0.0
    for fault, share in shares.items():
        until += share
        yield fault, until
