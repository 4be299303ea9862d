"""The only file that knows which dictionaries there are, and where."""

from pathlib import Path
from typing import Final

#: Not compressed.
PLAIN: Final = 0
#: New payloads are compressed with it.
CURRENT: Final = 1
#: All that rows may have, besides `PLAIN`.
RELEASED: Final = (1,)


def dictionary_bytes(dictionary: int) -> bytes:
    """One of the released dictionaries, in the format of `zstd --train`."""
    return (Path(__file__).parent / f"dictionary_{dictionary}.zdict").read_bytes()
