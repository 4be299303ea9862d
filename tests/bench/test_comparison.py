from pathlib import Path

import pytest

from tests.bench import comparison
from tests.bench.comparison import _in_turn
from tests.bench.contenders.contender import House, Unavailable
from tests.bench.group import Setting

NAMES = ("a", "b", "c", "d")


def test_each_contender_is_measured_once_a_round_and_begins_and_follows_in_turn() -> None:
    turns = [_in_turn(NAMES, number) for number in range(8)]
    assert all(sorted(turn) == sorted(NAMES) for turn in turns)
    assert {turn[0] for turn in turns} == set(NAMES)
    before = [turn.index("a") < turn.index("b") for turn in turns]
    assert 2 <= sum(before) <= 6


async def test_a_contender_that_cannot_be_had_is_skipped_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _refused(_folder: Path, _say: object) -> None:
        raise Unavailable("not here")

    house = House({"absent": "not to be had"}, _refused)  # type: ignore[arg-type]
    monkeypatch.setattr(comparison, "_HOUSES", [house])
    said: list[str] = []
    setting = Setting(tmp_path, 1, 1, 0, 30_000, frozenset(), said.append)
    findings = await comparison.measure(setting)
    assert findings.skipped == ["absent: not here"]
    assert "skipping absent: not here" in said
    assert findings.figures == []
