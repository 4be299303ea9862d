import re
from hashlib import sha256

import asyncpg
import pytest
from zstandard import ZstdCompressionDict

from app.db.payloads.codec import RELEASED, dictionary_bytes
from app.db.payloads.training.train import NUMBER, trained

#: Rows are compressed with them: a dictionary that was released stays as it is.
RELEASED_SHA256 = {1: "23da665dfa0d0be0bf32b5dab15d8aed8415d90932f61c4cf8b1480a82deb5af"}


def test_a_released_dictionary_never_changes() -> None:
    assert set(RELEASED) == set(RELEASED_SHA256)
    for number, expected in RELEASED_SHA256.items():
        assert sha256(dictionary_bytes(number)).hexdigest() == expected
        assert ZstdCompressionDict(dictionary_bytes(number)).dict_id() == number


def test_training_gives_the_newest_one_again() -> None:
    assert max(RELEASED) == NUMBER
    assert trained() == dictionary_bytes(NUMBER)


async def test_the_database_holds_exactly_what_ships(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT id, encode(sha256(dictionary), 'hex') FROM payload_dictionaries"
    )
    assert dict(map(tuple, rows)) == RELEASED_SHA256


@pytest.mark.parametrize("number", RELEASED)
def test_no_number_in_a_dictionary_belongs_to_a_person(number: int) -> None:
    found = re.findall(rb"\+\d{7,}", dictionary_bytes(number))
    assert found
    assert [digits for digits in found if not re.match(rb"\+\d{3,5}0000\d*", digits)] == []
    alone = re.findall(rb"(?<![0-9a-f+.-])\d{8,}(?![0-9a-f-])", dictionary_bytes(number))
    assert [digits for digits in alone if b"0000" not in digits] == []
