"""The only file that knows which dictionaries there are, and where."""

from pathlib import Path
from typing import Final

#: Stands for "not compressed".
PLAIN: Final = 0
#: With which new payloads are compressed.
CURRENT: Final = 1
#: All that rows may name, `PLAIN` apart.
RELEASED: Final = (1,)


def dictionary_bytes(dictionary: int) -> bytes:
    """One of the released dictionaries, in the format of `zstd --train`."""
    return (Path(__file__).parent / f"dictionary_{dictionary}.zdict").read_bytes()
