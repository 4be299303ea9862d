"""One large request body that is read and stored in pieces."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from app.kit.batcher import TooLate
from app.services.callbacks.flush import PendingRecord, Receipt

Done = Callable[[Receipt | BaseException], object]


class LargeBody:
    """
    Collects what becomes of the pieces, and reports once: when all are durable, or at the first
    failure, or when the budget is used up. What is durable by then is deduplicated when the body
    is sent again.
    """

    def __init__(
        self, pieces: Iterator[Sequence[PendingRecord]], done: Done, *, budget_seconds: float
    ) -> None:
        self._pieces = pieces
        self._done = done
        #: Whether there may be another piece.
        self.is_unread = True
        self._storing = 0
        self._receipt = Receipt.STORED
        self._timer = asyncio.get_running_loop().call_later(budget_seconds, self.end, TooLate())
        #: Whether nothing more needs to be read.
        self.has_ended = False

    def next_piece(self) -> Sequence[PendingRecord] | None:
        """The next piece; None if there is none."""
        piece = next(self._pieces, None)
        if piece is None:
            self.is_unread = False
            self._end_if_stored()
        return piece

    def began(self) -> None:
        """Count a piece that is being stored, which `ended` ends."""
        self._storing += 1

    def ended(self, outcome: Receipt | BaseException) -> None:
        """Count what became of a piece."""
        self._storing -= 1
        if isinstance(outcome, BaseException):
            self.end(outcome)
            return
        if outcome is Receipt.QUARANTINED:
            self._receipt = outcome
        self._end_if_stored()

    def end(self, outcome: Receipt | BaseException) -> None:
        """Report *outcome*, unless the end was reported already."""
        if self.has_ended:
            return
        self.has_ended = True
        self._timer.cancel()
        self._done(outcome)

    def _end_if_stored(self) -> None:
        if not self.is_unread and not self._storing:
            self.end(self._receipt)
