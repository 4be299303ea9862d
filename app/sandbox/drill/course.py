"""The course of a run: what was counted when, and which failures there were."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from app.sandbox.drill.plan import FaultKind
from app.sandbox.drill.plot import Line, Span, svg
from app.sandbox.drill.sender import Tally

_ACKNOWLEDGED: Final = "#1b7837"
_REFUSED: Final = "#c51b1b"
_STORED: Final = "#2166ac"


@dataclass(slots=True)
class Course:
    """Samples over time, and the failures that happened."""

    #: Seconds since the load began, with what the sender had counted.
    tallies: list[tuple[float, Tally]] = field(default_factory=list)
    #: The same with how many rows were stored.
    stored: list[tuple[float, int]] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)
    #: Those of the plan that could not happen, as another one was there already.
    missed: int = 0
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    @property
    def fault_counts(self) -> Counter[str]:
        """How often each failure happened, by its name."""
        return Counter(span.name for span in self.faults)

    def note_fault(self, kind: FaultKind, started: float, *, happened: bool) -> None:
        """Record a failure that began at *started* and ends now."""
        if happened:
            self.faults.append(Span(kind.name, started, self.seconds))
        else:
            self.missed += 1

    def plot(self, title: str) -> str:
        """An SVG document."""
        return svg(
            title,
            lines=[
                Line("acknowledged", _ACKNOWLEDGED, _points(self.tallies, "acknowledged")),
                Line("refused requests", _REFUSED, _points(self.tallies, "refused")),
                Line("stored rows", _STORED, self.stored),
            ],
            spans=self.faults,
            x="seconds since the load began; a failure is shaded",
            y="callbacks so far",
        )


def _points(tallies: list[tuple[float, Tally]], name: str) -> list[tuple[float, float]]:
    return [(seconds, float(getattr(tally, name))) for seconds, tally in tallies]
