"""One figure of all rounds, and how it is judged."""

from collections.abc import Sequence
from enum import StrEnum
from statistics import median
from typing import Any, NamedTuple


class Verdict(StrEnum):
    """How a figure stands to its bound."""

    MISSED = "not reached"
    REACHED = "reached"
    AIM = "aim reached"


class Bound(NamedTuple):
    """What is wanted of a figure."""

    wanted: float
    #: Better still.
    aim: float | None = None
    #: Less is better.
    is_ceiling: bool = False
    #: Must hold for the worst round, not only for the median.
    in_every_round: bool = False

    def verdict(self, rounds: Sequence[float]) -> Verdict:
        """What *rounds* come to."""
        value = self._judged(rounds)
        if self.aim is not None and self._holds(value, self.aim):
            return Verdict.AIM
        return Verdict.REACHED if self._holds(value, self.wanted) else Verdict.MISSED

    def _judged(self, rounds: Sequence[float]) -> float:
        if not self.in_every_round:
            return median(rounds)
        return max(rounds) if self.is_ceiling else min(rounds)

    def _holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.is_ceiling else value >= limit

    def __str__(self) -> str:
        sign = "≤" if self.is_ceiling else "≥"
        aim = "" if self.aim is None else f", aim {self.aim:g}"
        return f"{sign} {self.wanted:g}{aim}"


class Figure(NamedTuple):
    """One figure, with its value in each round."""

    name: str
    says: str
    rounds: Sequence[float]
    bound: Bound | None = None

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.rounds)

    @property
    def verdict(self) -> Verdict | None:
        """How it stands to its bound, if it has one."""
        return self.bound and self.bound.verdict(self.rounds)

    def document(self) -> dict[str, Any]:
        """It, for a file."""
        return {
            "says": self.says,
            "median": round(self.middle, 4),
            "least": round(min(self.rounds), 4),
            "greatest": round(max(self.rounds), 4),
            "rounds": [round(value, 4) for value in self.rounds],
            "bound": self.bound and self.bound._asdict(),
            "verdict": self.verdict,
        }
