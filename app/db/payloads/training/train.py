"""
Trains a dictionary on synthetic payloads: `python -m app.db.payloads.training.train FILE`.

The same code gives the same bytes, which shows that nothing live is in them. A better dictionary
gets the next number and a migration. A released one never changes: rows are compressed with it.
"""

import sys
from pathlib import Path
from random import Random
from typing import Final

from zstandard import train_dictionary

from app.db.payloads.training.callbacks import payloads

NUMBER: Final = 1
SIZE_BYTES: Final = 8192
_SAMPLES_ITEMS: Final = 4000
_SEED: Final = 1
#: Of the segments that are chosen, and of what is counted in them. Given, so that none is searched.
_SEGMENT_BYTES: Final = 256
_COUNTED_BYTES: Final = 8


def trained(size_bytes: int = SIZE_BYTES) -> bytes:
    """The dictionary number `NUMBER`."""
    samples: list[bytes | bytearray | memoryview] = [
        *payloads(Random(_SEED), items=_SAMPLES_ITEMS)  # noqa: S311 (no secret)
    ]
    dictionary = train_dictionary(
        size_bytes, samples, k=_SEGMENT_BYTES, d=_COUNTED_BYTES, dict_id=NUMBER, level=1
    )
    return dictionary.as_bytes()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(trained())
