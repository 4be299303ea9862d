"""What every group of figures is given and gives back."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.figure import Figure

Say = Callable[[str], None]


@dataclass
class Findings:
    """What a group measured."""

    figures: list[Figure] = field(default_factory=list)
    #: What must not be, such as a callback that was lost. One is enough to end with 1.
    faults: list[str] = field(default_factory=list)
    #: What could not be measured here, and why.
    skipped: list[str] = field(default_factory=list)
    #: Whatever else the file should keep, by name.
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Findings") -> None:
        """Take in what another group measured."""
        self.figures += other.figures
        self.faults += other.faults
        self.skipped += other.skipped
        self.details |= other.details


class Setting(NamedTuple):
    """What a group measures with."""

    #: Empty, and the group's own.
    folder: Path
    rounds: int
    #: For how long one thing is measured in one round.
    seconds: int
    #: For how long the growth of memory is watched; 0: not at all.
    minutes: int
    #: How many events a full database has.
    events: int
    #: The names to measure; empty: all.
    only: frozenset[str]
    say: Say
    #: A revision of the service to compare with; empty: none.
    against: str = ""

    def wants(self, name: str) -> bool:
        """Whether *name* is to be measured."""
        return not self.only or name in self.only


class Group(NamedTuple):
    """Figures that are measured together."""

    name: str
    #: What it measures, in one line.
    says: str
    measure: Callable[[Setting], Awaitable[Findings]]
    #: The names of what can be measured alone.
    parts: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """What may be named to have all of this group measured, or a part."""
        return (self.name, *self.parts)

    def is_wanted(self, only: Iterable[str]) -> bool:
        """Whether any of it is."""
        chosen = set(only)
        return not chosen or not chosen.isdisjoint(self.names)
