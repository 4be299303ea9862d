"""JSON from bytes and back, without losing a digit or a character."""

import codecs
import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from app.domain.quarantine import Reason

#: Fractions become `Decimal`, so money never passes through a binary float.
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ORDERED_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_PARSER_ERRORS: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
#: Python refuses to convert longer digit strings into an int.
_MAX_INTEGER_DIGITS: Final = 4000


class Unreadable(ValueError):
    """The bytes cannot be read as JSON; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def parse(body: bytes) -> Any:  # noqa: ANN401 (it is any JSON value)
    """
    The JSON value in *body*.

    A strict, fast parser comes first. A lenient one reads what it refuses: a byte order mark,
    control characters, lone surrogates, NaN and Infinity.

    Raises:
        Unreadable: the lenient parser refuses it too.
    """
    try:
        return _DECODER.decode(body)
    except _PARSER_ERRORS:
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


def find_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in *body*; None if there is anything else."""
    try:
        value = parse(body)
    except Unreadable:
        return None
    return value if isinstance(value, dict) else None


def canonical(value: object) -> bytes:
    """
    *value* in its one canonical spelling, with members in the order of their names.

    Raises:
        UnicodeEncodeError: it has lone surrogates.
    """
    return _ORDERED_ENCODER.encode(value)


def serialise(value: object) -> bytes:
    """*value* as JSON, with every digit of its numbers."""
    try:
        return _ENCODER.encode(value)
    except _PARSER_ERRORS:
        return _escaped(value).encode("ascii")


def _escaped(value: object) -> str:
    """Encode what the fast encoder refuses: lone surrogates become escapes."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{_escaped(member)}" for key, member in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_escaped, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
