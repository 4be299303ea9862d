"""The only file of the simulator that decides which request meets which fault."""

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from random import Random

from app.sandbox.faults import Endpoint, Fault


class FaultPlan:
    """
    Which faults the next requests meet; at first none.

    A scripted fault goes before one by chance. The chances of an endpoint are drawn request by
    request in the order in which they come in, and depend on the seed alone.
    """

    def __init__(self, *, seed: int) -> None:
        #: How many requests have met which fault so far.
        self.met: Counter[tuple[Endpoint, Fault]] = Counter()
        self._scripts: dict[Endpoint, deque[Fault | None]] = {one: deque() for one in Endpoint}
        self._shares: dict[Endpoint, Mapping[Fault, float]] = {}
        # Stories and faults are drawn apart: a fault does not change what happens to a message.
        self._draws = {one: Random(f"{seed}/{one}") for one in Endpoint}  # noqa: S311

    def script(self, endpoint: Endpoint, *faults: Fault | None) -> None:
        """Let the next requests meet these in turn, after those scripted before; None is none."""
        self._scripts[endpoint].extend(faults)

    def sometimes(self, endpoint: Endpoint, shares: Mapping[Fault, float]) -> None:
        """
        Let each request meet one of these with its probability, 0 to 1, from now on.

        Replaces what was said of *endpoint* before, except the script.

        Raises:
            ValueError: a probability is out of bounds, or together they are more than 1.
        """
        total = math.fsum(shares.values())
        if not all(0 <= share <= 1 for share in shares.values()) or total > 1 + 1e-9:
            raise ValueError(f"the probabilities for {endpoint} must be 0 to 1, and together too")
        self._shares[endpoint] = dict(shares)

    def always(self, endpoint: Endpoint, fault: Fault) -> None:
        """Let every request meet *fault* from now on, except those of the script."""
        self.sometimes(endpoint, {fault: 1.0})

    def clear(self, endpoint: Endpoint | None = None) -> None:
        """Let no request to *endpoint*, or to any, meet a fault from now on."""
        for one in Endpoint if endpoint is None else (endpoint,):
            self._scripts[one].clear()
            self._shares.pop(one, None)

    def next(self, endpoint: Endpoint) -> Fault | None:
        """What the request that has come in now meets; counts it."""
        script = self._scripts[endpoint]
        fault = script.popleft() if script else self._drawn(endpoint)
        if fault is not None:
            self.met[endpoint, fault] += 1
        return fault

    def _drawn(self, endpoint: Endpoint) -> Fault | None:
        shares = self._shares.get(endpoint)
        if not shares:
            return None
        drawn = self._draws[endpoint].random()
        return next((fault for fault, until in _ranges(shares) if drawn < until), None)


def _ranges(shares: Mapping[Fault, float]) -> Iterator[tuple[Fault, float]]:
    """Each fault with the end of its part of 0 to 1; the parts follow each other."""
    until = 0.0
    for fault, share in shares.items():
        until += share
        yield fault, until
