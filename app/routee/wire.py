"""How bytes become JSON values and back, without losing a digit or a character."""

import codecs
import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from app.domain.quarantine import Reason

#: Decimals stay decimals: money never passes through a binary float.
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ORDERED_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_UNFIT: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
#: Python refuses to turn longer digit strings into an int.
_MAX_INTEGER_DIGITS: Final = 4000


class Unreadable(ValueError):
    """The bytes are no JSON that we can read; `reason` says in which way."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def parse(body: bytes) -> Any:  # noqa: ANN401 (it is any JSON value)
    """
    The JSON value in *body*.

    A strict and fast parser first; what it refuses gets a second, lenient reading that allows a
    byte order mark, control characters, lone surrogates, NaN and Infinity.

    Raises:
        Unreadable: not even that could read it.
    """
    try:
        return _DECODER.decode(body)
    except _UNFIT:
        return _parse_leniently(body)


def _parse_leniently(body: bytes) -> Any:  # noqa: ANN401
    try:
        characters = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise Unreadable(Reason.NOT_UTF8) from None
    try:
        return json.loads(
            characters,
            strict=False,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=Decimal,
        )
    except (ValueError, RecursionError):
        raise Unreadable(Reason.NOT_JSON) from None


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return Decimal("NaN")


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < _MAX_INTEGER_DIGITS else Decimal(digits)


def canonical(value: object) -> bytes:
    """
    *value*, which has no lone surrogates, in one spelling: members in the order of their names.

    Raises:
        UnicodeEncodeError: it has lone surrogates.
    """
    return _ORDERED_ENCODER.encode(value)


def serialise(value: object) -> bytes:
    """*value* as JSON again, numbers digit by digit."""
    try:
        return _ENCODER.encode(value)
    except _UNFIT:
        return _written(value).encode("ascii")


def _written(value: object) -> str:
    """What the fast encoder refuses: lone surrogates, as escapes."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{_written(member)}" for key, member in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
