"""Compressing and opening single payloads, and the dictionaries for it."""

import threading
from pathlib import Path
from typing import Final

from zstandard import (
    DICT_TYPE_FULLDICT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    frame_content_size,
)

from app.errors import PayloadUnreadable

#: Not compressed.
PLAIN: Final = 0
#: New payloads are compressed with it.
CURRENT: Final = 1
#: All that rows may have, besides `PLAIN`.
RELEASED: Final = (1,)
#: Larger payloads are neither compressed nor opened.
MAX_PAYLOAD_BYTES: Final = 16 * 1024 * 1024

# Callbacks of 821 bytes whose texts are not those of the training, one core: level 1 stores 337 in
# 5 µs, level 3 329 in 8, level 4 320 in 15, level 6 314 in 37. Opening takes 2 µs. With 4 KiB of
# dictionary level 1 stores 360, with 16 KiB 346 (python -m tests.db.payloads.measure).
LEVEL: Final = 1


def dictionary_bytes(dictionary: int) -> bytes:
    """A released dictionary, in the format of `zstd --train`."""
    return (Path(__file__).parent / f"dictionary_{dictionary}.zdict").read_bytes()


def _dictionary(dictionary: int) -> ZstdCompressionDict:
    found = ZstdCompressionDict(dictionary_bytes(dictionary), dict_type=DICT_TYPE_FULLDICT)
    if dictionary == CURRENT:
        found.precompute_compress(level=LEVEL)
    return found


_DICTIONARIES: Final = {dictionary: _dictionary(dictionary) for dictionary in RELEASED}


class _Codecs(threading.local):
    """The codecs of one thread: two threads must not share one. The dictionaries are shared."""

    def __init__(self) -> None:
        # 8 bytes less: the row has the dictionary's number, and PostgreSQL has checksums.
        self.compressor = ZstdCompressor(
            level=LEVEL,
            dict_data=_DICTIONARIES[CURRENT],
            write_checksum=False,
            write_content_size=True,
            write_dict_id=False,
        )
        self.decompressors = {
            dictionary: ZstdDecompressor(dict_data=data)
            for dictionary, data in _DICTIONARIES.items()
        }


_CODECS: Final = _Codecs()


def compressed(body: bytes) -> tuple[bytes, int]:
    """What to store for *body*, and its dictionary: `PLAIN` if compressing does not shorten it."""
    if len(body) > MAX_PAYLOAD_BYTES:
        return body, PLAIN
    frame = _CODECS.compressor.compress(body)
    return (frame, CURRENT) if len(frame) < len(body) else (body, PLAIN)


def opened(stored: bytes, dictionary: int) -> bytes:
    """
    The body that `compressed` made *stored* of.

    Raises:
        PayloadUnreadable: this version lacks the dictionary, or the bytes are damaged.
    """
    if dictionary == PLAIN:
        return stored
    decompressor = _CODECS.decompressors.get(dictionary)
    if decompressor is None:
        raise PayloadUnreadable(
            f"A payload is compressed with dictionary {dictionary}, which this version lacks."
        )
    try:
        return _decompressed(stored, decompressor)
    except ZstdError as error:
        raise PayloadUnreadable(f"A stored payload is damaged: {error}") from error


def _decompressed(stored: bytes, decompressor: ZstdDecompressor) -> bytes:
    """The body, which is never larger than the frame says; memory is taken after the check."""
    size = frame_content_size(stored)
    if not 0 < size <= MAX_PAYLOAD_BYTES:
        raise PayloadUnreadable(f"A stored payload is damaged: it says that it has {size} bytes.")
    return decompressor.decompress(stored, allow_extra_data=False)
