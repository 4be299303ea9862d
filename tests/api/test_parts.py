import pytest

from app.api.parts import Paging, row_id
from app.errors import InvalidCursor
from app.kit.cursor import encode_cursor


@pytest.mark.parametrize(
    "position", [["x"], [-1], [2**63], [], [1, 2]], ids=["text", "negative", "huge", "none", "two"]
)
def test_a_forged_cursor_is_refused(position: list[str | int]) -> None:
    with pytest.raises(InvalidCursor):
        Paging(cursor=encode_cursor(position, scope="list")).position(scope="list", of=row_id)


def test_without_a_cursor_the_list_begins_at_its_beginning() -> None:
    assert Paging().position(scope="list", of=row_id) is None
