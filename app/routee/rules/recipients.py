"""The only file that knows to whom a campaign may go."""

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

from app.routee.rules.findings import Caution, Finding, item_path, member
from app.routee.rules.refusals import BAD_RECIPIENT, UNNAMED, Refusal, fault

MAX_RECIPIENTS: Final = 1000
SOURCES: Final = ("to", "contacts", "groups")

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")

#: What makes two entries the same recipient.
Identity = Callable[[str], str]


def check_numbers(value: object, path: str) -> Iterator[Finding]:
    """Check for an array of telephone numbers in E.164."""
    for place, entry in _entries(value):
        yield from _check_number(entry, item_path(path, place))
    yield from _check_array(value, path, refusal=BAD_RECIPIENT, identity=_canonical)


def check_ids(value: object, path: str) -> Iterator[Finding]:
    """Check for an array of the ids of contacts or groups."""
    for place, entry in _entries(value):
        if not isinstance(entry, str) or not entry.strip():
            yield fault(item_path(path, place), "must be a string that is not empty")
    yield from _check_array(value, path, refusal=UNNAMED, identity=str)


def check_anybody(request: object) -> Iterator[Finding]:
    """Check that the campaign goes to somebody."""
    if isinstance(request, dict) and not any(member(request, source) for source in SOURCES):
        yield fault("to", "no recipients: give at least one in to, contacts or groups")


def _entries(value: object) -> Iterator[tuple[int, object]]:
    """The items that are looked at one by one, with their places; those beyond 1000 are not."""
    return enumerate(value[:MAX_RECIPIENTS] if isinstance(value, list) else ())


def _check_array(
    value: object, path: str, *, refusal: Refusal, identity: Identity
) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield fault(path, "must be an array of strings", refusal)
        return
    if len(value) > MAX_RECIPIENTS:
        yield fault(path, f"must have at most {MAX_RECIPIENTS} items: send several campaigns")
    yield from _check_doubles(value[:MAX_RECIPIENTS], path, identity)


def _check_doubles(entries: Sequence[object], path: str, identity: Identity) -> Iterator[Finding]:
    """
    A recipient who stands there twice gets, and is charged for, two messages.

    Therefore it is a fault: the second is easily removed, the second message is not.
    """
    first_places: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if not isinstance(entry, str):
            continue
        first = first_places.setdefault(identity(entry), place)
        if first != place:
            yield fault(
                item_path(path, place),
                f"is the same recipient as {item_path(path, first)}: remove one of them",
            )


def _check_number(entry: object, path: str) -> Iterator[Finding]:
    """
    Lengths that no number of the country has are faults, unknown ranges are warnings.

    Ranges are allotted faster than the data about them is updated, and a wrong refusal would stop
    a campaign that Routee takes; lengths of numbers hardly ever change.
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
            "has digits that are left out in E.164, such as the 0 after the country code",
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
    """The one spelling of a number; anything else as it is."""
    number = _parsed(entry)
    return entry if number is None else format_number(number, PhoneNumberFormat.E164)
