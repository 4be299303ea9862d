"""
Under what a message is stored: Routee's ids are UUIDs, and take 16 bytes so, or else what they are.

The function `message_key` in the database says the same.
"""

import re
from typing import Final

from sqlalchemy import ColumnElement, Dialect, LargeBinary, SQLColumnExpression, func
from sqlalchemy.types import TypeDecorator

_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_BYTES: Final = 16
_MARK: Final = b"\0"


def message_key(tracking_id: str) -> bytes:
    """
    What stands for *tracking_id*; no two ids have the same.

    The 16 bytes of a UUID in lower case. Of any other id its UTF-8 after a zero byte, or two where
    it would be 16 bytes long with one: ids have no zeros.
    """
    if _UUID.fullmatch(tracking_id):
        return bytes.fromhex(tracking_id.replace("-", ""))
    plain = tracking_id.encode()
    return (_MARK * 2 if len(plain) == _UUID_BYTES - 1 else _MARK) + plain


def plain_id(tracking_id: str, key: bytes) -> str | None:
    """*tracking_id*, where no UUID can be made of its *key*."""
    return None if len(key) == _UUID_BYTES else tracking_id


def tracking_id_of(key: bytes) -> str:
    """The id for which *key* stands."""
    if len(key) != _UUID_BYTES:
        return key.lstrip(_MARK).decode()
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class MessageKey(TypeDecorator[str]):
    """A column of keys, which are ids to whoever uses it."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytes | None:
        """The key of an id."""
        return None if value is None else message_key(value)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """The id of a key."""
        return None if value is None else tracking_id_of(value)


def key_of(tracking_id: SQLColumnExpression[str | None]) -> ColumnElement[str]:
    """The key of the id in a column, made by the database."""
    return func.message_key(tracking_id, type_=MessageKey)
