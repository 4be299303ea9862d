"""The failures of replicas of the service, in every mode."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.supervised import Supervised

#: Lets a failure happen, and undoes it.
Injection = Callable[[PlannedFault], Awaitable[None]]

#: Other settings, with which a restarted replica has to do the same.
_OTHER_SETTINGS: Final = (
    {"RECEIVER_FAST_PROTOCOL": "false"},
    {"RECEIVER_FAST_PROTOCOL": "true", "RECEIVER_ACK_BUDGET_SECONDS": "1.0"},
    {"RECEIVER_ACK_BUDGET_SECONDS": "1.5", "RECEIVER_FEED_PAGES_PER_SECOND": "0"},
    {"RECEIVER_MAX_BODY_BYTES": "524288"},
)


def serving_kinds(
    replicas: Sequence[Supervised], *, noun: str = "service"
) -> list[tuple[FaultKind, Injection]]:
    """
    The failures of *replicas*, of one after another or of all, each with what injects it.

    *noun* says what they are.
    """

    def _chosen(fault: PlannedFault) -> Supervised:
        return replicas[int(fault.draw * len(replicas))]

    async def _kill(fault: PlannedFault) -> None:
        await _chosen(fault).kill(down_seconds=fault.seconds)

    async def _kill_all(fault: PlannedFault) -> None:
        await asyncio.gather(*(one.kill(down_seconds=fault.seconds) for one in replicas))

    async def _freeze(fault: PlannedFault) -> None:
        await _chosen(fault).freeze(fault.seconds)

    async def _restart(fault: PlannedFault) -> None:
        settings = _OTHER_SETTINGS[int(fault.draw * 97) % len(_OTHER_SETTINGS)]
        await _chosen(fault).restart(settings, down_seconds=fault.seconds)

    return [
        (FaultKind(f"{noun} killed", noun, (0.0, 2.0), weight=4), _kill),
        (FaultKind(f"all {noun}s killed", noun, (0.0, 1.0)), _kill_all),
        (FaultKind(f"{noun} frozen", noun, (0.5, 3.0), weight=3), _freeze),
        (FaultKind(f"{noun} restarted", noun, (0.0, 1.0), weight=3), _restart),
    ]
