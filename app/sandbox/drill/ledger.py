"""The ledger: what was sent and what was answered, in a file that is flushed to the disk."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.sandbox.drill.callbacks import SentCallback, Stream, callbacks, sha256_of

#: In place of a status: no answer came in time, or the connection was lost.
NO_ANSWER: Final = 0
#: In place of a status: what came was no HTTP answer.
UNREADABLE_ANSWER: Final = 1
#: Results of an answer besides none: it says that the body is quarantined, or lacks `Retry-After`.
QUARANTINED: Final = "quarantined"
BARE: Final = "bare"


class _Mark(StrEnum):
    """What a line of the file is about."""

    HEAD = "head"
    SENT = "sent"
    ANSWER = "answer"


class Head(NamedTuple):
    """What all callbacks of a run follow from."""

    seed: int
    start: datetime
    inbound_url: str

    def callbacks(self, stream: Stream) -> Iterator[SentCallback]:
        """The callbacks of *stream*, without end."""
        return callbacks(stream, seed=self.seed, start=self.start, inbound_url=self.inbound_url)


class LedgerFile:
    """Appends to the ledger. Each line is with the system before its request is sent."""

    def __init__(self, path: Path, head: Head) -> None:
        self._file = path.open("ab", buffering=0)
        seed, start, inbound_url = head
        self._append(_Mark.HEAD, seed, start.isoformat(), inbound_url)

    def note_sent(self, callback: SentCallback) -> None:
        """Write down that *callback* is about to be posted for the first time."""
        self._append(_Mark.SENT, callback.key, callback.kind, sha256_of(callback.body))

    def note_answer(self, key: str, status: int, result: str, seconds: float) -> None:
        """Write down what one request was answered, and after how long."""
        self._append(_Mark.ANSWER, key, status, result, round(seconds, 4))

    def sync(self) -> None:
        """Flush it to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush it to the disk and close it."""
        self.sync()
        self._file.close()

    def _append(self, *values: object) -> None:
        self._file.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")


@dataclass(slots=True)
class Account:
    """What became of one callback, all its requests together."""

    callback: SentCallback
    #: How many requests were answered with each status, with `NO_ANSWER` for none.
    answers: dict[int, int] = field(default_factory=dict)
    #: Whether an answer says that it is in the quarantine, at least in part.
    is_quarantined: bool = False
    #: Whether a request before the first acknowledged one was not acknowledged.
    is_recovered: bool = False
    #: The longest time until an answer, in seconds.
    slowest_seconds: float = 0.0

    @property
    def acknowledgements(self) -> int:
        """How many requests were answered 200."""
        return self.answers.get(HTTPStatus.OK, 0)

    @property
    def is_acknowledged(self) -> bool:
        """Whether any request was answered 200."""
        return bool(self.acknowledgements)

    @property
    def is_unknown(self) -> bool:
        """Whether it was not acknowledged, and a request had no answer, so it may be stored."""
        return not self.is_acknowledged and (not self.answers or NO_ANSWER in self.answers)

    @property
    def is_refused(self) -> bool:
        """Whether each request was answered, and none with 200."""
        return not self.is_acknowledged and not self.is_unknown


@dataclass(slots=True)
class Ledger:
    """A ledger as it is read at the end."""

    head: Head
    #: By their keys, in the order of the first posting.
    accounts: dict[str, Account]
    #: How many answers 503 came without `Retry-After`.
    bare_refusals: int = 0

    @property
    def requests(self) -> int:
        """How many requests were answered or given up."""
        return sum(sum(account.answers.values()) for account in self.accounts.values())


class LedgerContradictsError(Exception):
    """The ledger is not that of the callbacks that its seed gives; the message says where."""


def read_ledger(path: Path) -> Ledger:
    """
    The ledger in *path*, with the bodies made again from its seed.

    Raises:
        LedgerContradictsError: a body has another SHA-256 than the one that was sent.
    """
    with path.open("rb") as lines:
        head = _head_of(json.loads(next(lines)))
        sources = {stream: head.callbacks(stream) for stream in Stream}
        made: dict[str, SentCallback] = {}
        ledger = Ledger(head, {})
        for line in lines:
            mark, key, *values = json.loads(line)
            if mark == _Mark.SENT:
                callback = _find(key, made, sources)
                if [callback.kind, sha256_of(callback.body)] != values:
                    raise LedgerContradictsError(f"{key} is not what was sent")
                ledger.accounts[key] = Account(callback)
            else:
                _note(ledger.accounts[key], *values)
                ledger.bare_refusals += values[1] == BARE
    return ledger


def _head_of(values: list[Any]) -> Head:
    _, seed, start, inbound_url = values
    return Head(seed, datetime.fromisoformat(start), inbound_url)


def _find(
    key: str, made: dict[str, SentCallback], sources: dict[Stream, Iterator[SentCallback]]
) -> SentCallback:
    """The callback of *key*. Those of a stream are sent nearly, but not quite, in their order."""
    source = sources[Stream(key.rpartition("-")[0])]
    while key not in made:
        callback = next(source)
        made[callback.key] = callback
    return made.pop(key)


def _note(account: Account, status: int, result: str, seconds: float) -> None:
    if status == HTTPStatus.OK and not account.is_acknowledged and account.answers:
        account.is_recovered = True
    account.answers[status] = account.answers.get(status, 0) + 1
    account.is_quarantined |= result == QUARANTINED
    account.slowest_seconds = max(account.slowest_seconds, seconds)
