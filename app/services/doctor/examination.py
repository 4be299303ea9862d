"""Checks, what they find, and in which order they are made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from app.errors import ReceiverError

#: A check that takes longer has found that something does not answer.
_CHECK_SECONDS: Final = 30.0


class Verdict(StrEnum):
    """How a check ended, from best to worst."""

    OK = "ok"
    #: It depends on one that failed, or on a setting that is not given.
    SKIPPED = "skipped"
    WARNING = "warning"
    FAULT = "fault"


class Finding(NamedTuple):
    """One thing that a check found."""

    check: str
    verdict: Verdict
    #: What was found, in a sentence.
    text: str
    #: What to do, in a sentence; empty if there is nothing to do.
    advice: str = ""


Findings = list[tuple[Verdict, str, str]]


class Notes:
    """What a check has found so far."""

    def __init__(self) -> None:
        self.found: Findings = []

    def ok(self, text: str) -> None:
        """Note that something is as it should be."""
        self.found.append((Verdict.OK, text, ""))

    def warn(self, text: str, advice: str) -> None:
        """Note what works, and should be changed."""
        self.found.append((Verdict.WARNING, text, advice))

    def fault(self, text: str, advice: str) -> None:
        """Note what does not work, or loses something."""
        self.found.append((Verdict.FAULT, text, advice))


class Check(NamedTuple):
    """One check: *examine* notes what it finds; *advice* is for errors that it raises."""

    name: str
    examine: Callable[[Notes], Awaitable[None]]
    #: The names of earlier checks that have to be without fault.
    needs: tuple[str, ...] = ()
    advice: str = ""
    #: The settings that are not given, without which there is nothing to examine.
    unset: tuple[str, ...] = ()


async def examined(checks: Iterable[Check]) -> AsyncIterator[Finding]:
    """
    What each of *checks* finds, as soon as it has ended.

    One that needs what is at fault, or was skipped because of that, is skipped; so is one without
    its settings, on which others do not depend.
    """
    failed = set[str]()
    for check in checks:
        missing = [name for name in check.needs if name in failed]
        if missing:
            failed.add(check.name)
            yield Finding(check.name, Verdict.SKIPPED, f"needs {missing[0]}")
            continue
        if check.unset:
            text = f"{', '.join(check.unset)} not set"
            yield Finding(check.name, Verdict.SKIPPED, text)
            continue
        notes = Notes()
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await check.examine(notes)
        except ReceiverError as error:
            notes.fault(str(error), check.advice)
        except TimeoutError:
            notes.fault(f"no answer within {_CHECK_SECONDS:g} seconds", check.advice)
        for verdict, text, advice in notes.found:
            if verdict is Verdict.FAULT:
                failed.add(check.name)
            yield Finding(check.name, verdict, text, advice)
