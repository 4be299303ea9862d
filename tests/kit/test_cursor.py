import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.cursor import CursorInvalid, decode_cursor, encode_cursor

positions = st.lists(st.integers() | st.text(), max_size=3)


@given(positions, st.text())
def test_a_cursor_is_decoded_to_its_position(position: list[str | int], scope: str) -> None:
    cursor = encode_cursor(position, scope=scope)
    assert decode_cursor(cursor, scope=scope) == position


@given(positions)
def test_a_cursor_consists_of_url_safe_characters(position: list[str | int]) -> None:
    cursor = encode_cursor(position, scope="list")
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


@given(positions, st.data())
def test_a_cursor_that_was_changed_is_refused(
    position: list[str | int], data: st.DataObject
) -> None:
    cursor = encode_cursor(position, scope="list")
    at = data.draw(st.integers(0, len(cursor) - 2))  # the last character has bits to spare
    other = data.draw(st.sampled_from("AZaz09-_").filter(lambda it: it != cursor[at]))
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor[:at] + other + cursor[at + 1 :], scope="list")


@pytest.mark.parametrize("cursor", ["", "x", "====", "é", "a b", "AAAA", "A" * 4000])
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        decode_cursor(cursor, scope="list")


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        decode_cursor(encode_cursor([1], scope="one"), scope="other")
