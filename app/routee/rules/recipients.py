"""The recipients of a campaign: telephone numbers, contacts and groups."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    is_valid_number,
    parse,
)

from app.routee.rules.findings import (
    BAD_RECIPIENT,
    UNNAMED,
    Caution,
    Finding,
    RefusalCodes,
    fault,
    item_path,
    member,
)

MAX_RECIPIENTS: Final = 1000
SOURCES: Final = ("to", "contacts", "groups")

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")

#: Gives equal texts for entries that are the same recipient.
Identity = Callable[[str], str]


def check_numbers(value: object, path: str) -> Iterator[Finding]:
    """Check for an array of telephone numbers in E.164."""
    for index, entry in _entries(value):
        yield from _check_number(entry, item_path(path, index))
    yield from _check_array(value, path, refusal=BAD_RECIPIENT, identity=_canonical)


def check_ids(value: object, path: str) -> Iterator[Finding]:
    """Check for an array of the ids of contacts or groups."""
    for index, entry in _entries(value):
        if not isinstance(entry, str) or not entry.strip():
            yield fault(item_path(path, index), "must be a string that is not empty")
    yield from _check_array(value, path, refusal=UNNAMED, identity=str)


def check_any_recipient(request: object) -> Iterator[Finding]:
    """Check that the campaign has at least one recipient."""
    if isinstance(request, dict) and not any(member(request, source) for source in SOURCES):
        yield fault("to", "no recipients: give at least one in to, contacts or groups")


def _entries(value: object) -> Iterator[tuple[int, object]]:
    """The first 1000 items, with their indexes; the items after them are not checked."""
    return enumerate(value[:MAX_RECIPIENTS] if isinstance(value, list) else ())


def _check_array(
    value: object, path: str, *, refusal: RefusalCodes, identity: Identity
) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield fault(path, "must be an array of strings", refusal)
        return
    if len(value) > MAX_RECIPIENTS:
        yield fault(path, f"must have at most {MAX_RECIPIENTS} items: send several campaigns")
    yield from _check_duplicates(value[:MAX_RECIPIENTS], path, identity)


def _check_duplicates(
    entries: Sequence[object], path: str, identity: Identity
) -> Iterator[Finding]:
    """Refuse a recipient who is listed twice: that recipient would get, and cost, two messages."""
    first_indexes: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, str):
            continue
        first = first_indexes.setdefault(identity(entry), index)
        if first != index:
            yield fault(
                item_path(path, index),
                f"is the same recipient as {item_path(path, first)}: remove one of them",
            )


def _check_number(entry: object, path: str) -> Iterator[Finding]:
    """
    Refuse lengths that no number of the country has; warn of unknown ranges.

    Ranges are allotted faster than the library's data is updated, and a wrong refusal would stop a
    campaign that Routee accepts. Lengths hardly ever change.
    """
    number = _parsed(entry)
    if number is None or not is_possible_number(number):
        yield fault(
            path,
            "must be a number that can exist, in E.164: + and the country code, digits only, "
            "such as +306912345678",
            BAD_RECIPIENT,
        )
    elif format_number(number, PhoneNumberFormat.E164) != entry:
        yield Caution(
            "number-not-canonical",
            path,
            "has digits that E.164 leaves out, such as the 0 after the country code",
        )
    elif not is_valid_number(number):
        yield Caution(
            "number-not-valid", path, "is in no range that is known to be in use: check it"
        )


def _parsed(entry: object) -> PhoneNumber | None:
    # The parser alone would also take spaces, letters, and digits of other scripts.
    if not isinstance(entry, str) or not _E164.fullmatch(entry):
        return None
    try:
        return parse(entry)
    except NumberParseException:
        return None


def _canonical(entry: str) -> str:
    """The E.164 spelling of a number; other text unchanged."""
    number = _parsed(entry)
    return entry if number is None else format_number(number, PhoneNumberFormat.E164)
