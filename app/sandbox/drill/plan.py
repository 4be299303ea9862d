"""The plan of failures: which, when, and for how long; the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A failure that a mode can inject; the *weight* is its share within its lane."""

    name: str
    #: What it befalls. Failures of one lane follow each other, those of different ones overlap.
    lane: str
    #: The shortest and the longest duration, in seconds.
    seconds: tuple[float, float]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One failure of the plan."""

    kind: FaultKind
    #: When it begins, in seconds since the load began.
    at: float
    seconds: float
    #: 0 to 1: decides what is left open, such as which table is locked.
    draw: float


def make_plan(
    kinds: Sequence[FaultKind], *, seed: int, seconds: float, calm: tuple[float, float]
) -> list[PlannedFault]:
    """
    The failures of each lane for *seconds*, in the order in which they begin.

    *calm* is the shortest and the longest time between two failures of a lane. Every kind of a lane
    comes before any comes twice, and once even if *seconds* do not suffice for all kinds.
    """
    lanes = sorted({kind.lane for kind in kinds})
    planned = [
        fault
        for lane in lanes
        for fault in _of_lane(
            [kind for kind in kinds if kind.lane == lane],
            Random(f"{seed}/{lane}"),  # noqa: S311 (no secret)
            seconds=seconds,
            calm=calm,
        )
    ]
    return sorted(planned, key=lambda fault: (fault.at, fault.kind.lane))


def _of_lane(
    kinds: Sequence[FaultKind], rng: Random, *, seconds: float, calm: tuple[float, float]
) -> Iterator[PlannedFault]:
    at = rng.uniform(*calm)
    for number, kind in enumerate(_in_turn(kinds, rng)):
        lasting = rng.uniform(*kind.seconds)
        if at + lasting > seconds and number >= len(kinds):
            return
        yield PlannedFault(kind, round(at, 3), round(lasting, 3), rng.random())
        at += lasting + rng.uniform(*calm)


def _in_turn(kinds: Sequence[FaultKind], rng: Random) -> Iterator[FaultKind]:
    """Each of *kinds* once in random order, then by their weights without end."""
    yield from rng.sample(kinds, len(kinds))
    weights = [kind.weight for kind in kinds]
    while True:
        yield from rng.choices(kinds, weights)
