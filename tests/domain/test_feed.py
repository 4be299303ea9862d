import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.feed import Position, PositionInvalid, decode_position, encode_position

CURSOR = encode_position(Position(3, 4711, 42))

positions = st.builds(
    Position,
    st.integers(0, 2**15 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
)


@given(positions)
def test_a_cursor_leads_back_to_its_position(position: Position) -> None:
    cursor = encode_position(position)
    assert decode_position(cursor) == position
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)


@given(st.integers(0, len(CURSOR) - 1), st.characters())
def test_a_cursor_with_another_character_is_refused(at: int, character: str) -> None:
    changed = CURSOR[:at] + character + CURSOR[at + 1 :]
    if changed == CURSOR:
        return
    with pytest.raises(PositionInvalid):
        decode_position(changed)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "f1",
        "f1-1-2-3",
        CURSOR[:-1],
        CURSOR + "0",
        f" {CURSOR}",
        f"{CURSOR}\n",
        CURSOR.replace("f1", "f2"),
        encode_position(Position(2**15, 1, 1)),
        encode_position(Position(1, 2**64, 1)),
        encode_position(Position(1, 1, 2**63)),
        encode_position(Position(-1, 1, 1)),
    ],
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(PositionInvalid):
        decode_position(cursor)
