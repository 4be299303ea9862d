"""Starting the server again whenever it has ended."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from app.errors import ReceiverError

REVIVE_EVERY_SECONDS: Final = 1.0
#: After several failures in a row; each of them doubles the pause.
MAX_PAUSE_SECONDS: Final = 30.0
_MAX_DOUBLINGS: Final = 10


class Keeper:
    """
    Revives the server until it is asked to leave, whatever a single attempt comes to.

    A process may be out of descriptors or of memory for a moment. The server is then revived later.

    Args:
        revive: Starts the server if it has ended, and says whether it had.
        leaving: Set when the server need not be kept any longer.
        say: Gets a sentence about each revival and each failure.
        every_seconds: The pause between two looks at the server.
    """

    def __init__(
        self,
        revive: Callable[[], Coroutine[Any, Any, bool]],
        leaving: threading.Event,
        say: Callable[[str], None],
        *,
        every_seconds: float = REVIVE_EVERY_SECONDS,
    ) -> None:
        self._revive = revive
        self._leaving = leaving
        self._say = say
        self._every_seconds = every_seconds
        self._failures = 0

    def run(self) -> None:
        """Keep the server running. For a thread of its own."""
        while not self._leaving.wait(self._pause_seconds()):
            # Also what goes wrong while a failure is reported: standard error may be a closed pipe.
            with suppress(Exception):
                self._keep()

    def _keep(self) -> None:
        """Revive the server until it is time to leave, or until the first failure."""
        try:
            with asyncio.Runner() as runner:  # making a loop for each look takes a millisecond
                while not self._leaving.is_set():
                    if runner.run(self._revive()):
                        self._say("PostgreSQL had ended and was started again.")
                    self._failures = 0
                    self._leaving.wait(self._every_seconds)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (never the last attempt)
            self._failures = min(self._failures + 1, _MAX_DOUBLINGS)
            known = str(error) if isinstance(error, ReceiverError) else repr(error)
            self._say(f"PostgreSQL cannot be kept running, which is tried again: {known}")

    def _pause_seconds(self) -> float:
        return min(self._every_seconds * (1 << self._failures), MAX_PAUSE_SECONDS)
