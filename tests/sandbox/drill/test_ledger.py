from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from app.sandbox.drill.callbacks import SentCallback, Stream
from app.sandbox.drill.ledger import (
    BARE,
    NO_ANSWER,
    QUARANTINED,
    Head,
    Ledger,
    LedgerContradictsError,
    LedgerFile,
    read_ledger,
)

HEAD = Head(7, datetime(2026, 3, 1, tzinfo=UTC), "http://127.0.0.1/callbacks/token/inbound")


def _sent(items: int) -> list[SentCallback]:
    return list(islice(HEAD.callbacks(Stream.CAMPAIGNS), items))


def _read(path: Path, *answers: tuple[int, int, str]) -> Ledger:
    """A ledger of three callbacks with answers: which callback, status, result."""
    ledger = LedgerFile(path / "ledger", HEAD)
    sent = _sent(3)
    for one in reversed(sent):
        ledger.note_sent(one)
    for at, status, result in answers:
        ledger.note_answer(sent[at].key, status, result, 0.1)
    ledger.close()
    return read_ledger(path / "ledger")


def test_a_ledger_gives_each_callback_with_its_body_and_what_became_of_it(tmp_path: Path) -> None:
    ledger = _read(tmp_path, (0, 503, ""), (0, 200, QUARANTINED), (0, 200, ""), (1, 503, BARE))
    assert [one.callback for one in ledger.accounts.values()] == list(reversed(_sent(3)))
    first, second, third = (ledger.accounts[one.key] for one in _sent(3))
    assert (first.acknowledgements, first.is_recovered, first.is_quarantined) == (2, True, True)
    assert (second.is_acknowledged, second.is_refused, second.is_unknown) == (False, True, False)
    assert (third.is_refused, third.is_unknown) == (False, True), "its answer is not written down"
    assert (ledger.requests, ledger.bare_refusals) == (4, 1)


def test_a_callback_with_a_refusal_and_no_answer_is_unknown(tmp_path: Path) -> None:
    ledger = _read(tmp_path, (0, 503, ""), (0, NO_ANSWER, ""))
    account = ledger.accounts[_sent(1)[0].key]
    assert (account.is_refused, account.is_unknown) == (False, True)


def test_a_ledger_that_is_not_of_its_seed_is_refused(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger", HEAD)
    ledger.note_sent(_sent(1)[0]._replace(body=b"{}"))
    ledger.close()
    with pytest.raises(LedgerContradictsError):
        read_ledger(tmp_path / "ledger")
