"""JSON from bytes and back, without losing a digit or a character."""

import codecs
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import msgspec

from app.domain.quarantine import Reason

#: Fractions become `Decimal`, so money never passes through a binary float.
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ARRAY_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
#: Of JSON.
_BLANKS: Final = b" \t\r\n"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ORDERED_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_PARSER_ERRORS: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
#: Python refuses to convert longer digit strings into an int.
_MAX_INTEGER_DIGITS: Final = 4000


#: All lone surrogates, and those that stand for no ill-formed byte.
_LONE: Final = re.compile("[\ud800-\udfff]")
_LONE_BUT_BYTES: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


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
    value, has_ill_formed = parse_anyway(body)
    if has_ill_formed:
        raise Unreadable(Reason.NOT_UTF8)
    return value


class Parsed(NamedTuple):
    """JSON of which some bytes may not be UTF-8."""

    #: Lone surrogates U+DC80 to U+DCFF in its texts stand for these bytes.
    value: Any
    has_ill_formed: bool


def parse_anyway(body: bytes) -> Parsed:
    """
    As `parse`, but bytes that are not UTF-8 cost nothing but their characters.

    Raises:
        Unreadable: it is not JSON.
    """
    try:
        return Parsed(_DECODER.decode(body), has_ill_formed=False)
    except _PARSER_ERRORS:
        pass
    octets = body.removeprefix(codecs.BOM_UTF8)
    try:
        return Parsed(_parse_leniently(octets.decode()), has_ill_formed=False)
    except UnicodeDecodeError:
        pass
    try:
        characters = octets.decode(errors="surrogateescape")
        return Parsed(_parse_leniently(characters), has_ill_formed=True)
    except Unreadable:
        raise Unreadable(Reason.NOT_UTF8) from None


def find_elements(body: bytes) -> Parsed | None:
    """
    The elements of the array in *body*, as `Raw` bytes that are not parsed yet.

    None if there is anything else, or an array that the strict parser refuses.
    """
    if not body.lstrip(_BLANKS).startswith(b"["):
        return None
    try:
        return Parsed(_ARRAY_DECODER.decode(body), has_ill_formed=False)
    except _PARSER_ERRORS:
        return None


def _parse_leniently(characters: str) -> Any:  # noqa: ANN401
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


def serialise(value: object, *, has_ill_formed: bool = False) -> bytes:
    """
    *value* as JSON, with every digit of its numbers.

    Lone surrogates become escapes; with *has_ill_formed* those of `Parsed` become their bytes.
    """
    try:
        return _ENCODER.encode(value)
    except _PARSER_ERRORS:
        lone = _LONE_BUT_BYTES if has_ill_formed else _LONE
        return _escaped(value, lone).encode(errors="surrogateescape")


def _escaped(value: object, lone: re.Pattern[str]) -> str:
    """Encode what the fast encoder refuses, and escape what *lone* matches."""
    if isinstance(value, dict):
        members = (
            f"{_escaped(key, lone)}:{_escaped(member, lone)}" for key, member in value.items()
        )
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(_escaped(element, lone) for element in value)}]"
    if isinstance(value, Decimal):
        return str(value)
    written = json.dumps(value, ensure_ascii=False, default=str)
    return lone.sub(lambda surrogate: f"\\u{ord(surrogate[0]):04x}", written)
