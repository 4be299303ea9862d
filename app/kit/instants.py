"""
Times as people and programs write them, the same in every version of Python.

Not read is what is ambiguous: days and months in figures with the year behind them, or the short
names of time zones other than UTC and GMT.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.kit.blanks import trimmed

#: Longer texts are no times.
_MAX_CHARACTERS: Final = 100
_MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_MICROSECOND_DIGITS: Final = 6
_CENTURY: Final = 2000

#: The blank instead of a sign is a `+` that was not escaped in a URL.
_ZONE: Final = r"""
    (?:
        \s*(?P<utc>Z|UTC?|GMT)
        | \s*(?:UTC|GMT)?(?P<sign>[-+\u2212])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?
        | \s+(?P<lost_hours>\d\d):?(?P<lost_minutes>\d\d)
    )?
    (?:\s*\[(?P<region>[^\[\]]+)\])?
"""
_TIME: Final = r"""
    (?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d*))?)?)?
"""
_FLAGS: Final = re.VERBOSE | re.IGNORECASE
#: The digits of date and time may follow each other without a character between.
_ISO_8601: Final = re.compile(
    rf"""
    (?P<year>\d{{4}})
    (?:(?P<separator>[-/])(?P<month>\d\d)(?P=separator)|(?P<compact_month>\d\d))
    (?P<day>\d\d)
    (?:(?:T|\s+|(?<=\d{{8}})(?=\d{{4}})){_TIME}{_ZONE})?
    """,
    _FLAGS,
)
#: RFC 1123 and, with hyphens and a year of two digits, RFC 850.
_RFC_1123: Final = re.compile(
    rf"""
    (?:[a-z]{{3,9}},?\s+)?
    (?P<day>\d\d?)(?:-|\s+)(?P<month>[a-z]{{3}})(?:-|\s+)(?P<year>\d{{4}}|\d\d)
    \s+(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?{_ZONE}
    """,
    _FLAGS,
)
#: Names that every installation understands alike, if it knows them.
_REGION: Final = re.compile(r"[A-Z][A-Za-z_]*(?:/[A-Z][A-Za-z0-9_+-]*){1,2}", re.ASCII)


def parse_instant(text: str) -> datetime | None:
    """
    The time in *text*: in UTC, or without a zone if the text names none. None if there is none.

    ISO 8601 with date and time in either format, any number of digits of a fraction, of which six
    count, `,` or `.` before them, `T`, `t` or blanks between date and time, and `Z`, `UTC`, `GMT`
    or an offset, whose `+` may have become a blank. A region in brackets counts if there is no
    offset. `24:00` is the beginning of the next day, and a 60th second that of the next minute. Or
    RFC 1123 or 850.
    """
    text = trimmed(text)
    if len(text) > _MAX_CHARACTERS:
        return None
    match = _ISO_8601.fullmatch(text) or _RFC_1123.fullmatch(text)
    if match is None:
        return None
    try:
        return _instant_of(match.groupdict())
    except (ValueError, OverflowError):
        return None


def _instant_of(part: dict[str, str | None]) -> datetime:
    zone = _zone_of(part)
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    fraction = (part.get("fraction") or "")[:_MICROSECOND_DIGITS]
    microsecond = int(fraction.ljust(_MICROSECOND_DIGITS, "0"))
    later = timedelta()
    if (hour, minute, second, microsecond) == (24, 0, 0, 0):
        hour, later = 0, timedelta(days=1)
    if second == 60:  # noqa: PLR2004 (a leap second)
        second, later = 59, timedelta(seconds=1)
    date = _year_of(part), _month_of(part), int(part["day"] or 0)
    instant = datetime(*date, hour, minute, second, microsecond) + later  # noqa: DTZ001
    return instant if zone is None else instant.replace(tzinfo=zone).astimezone(UTC)


def _year_of(part: dict[str, str | None]) -> int:
    written = part["year"] or ""
    return int(written) + (_CENTURY if len(written) == 2 else 0)  # noqa: PLR2004 (RFC 850)


def _month_of(part: dict[str, str | None]) -> int:
    written = (part["month"] or part.get("compact_month") or "").lower()
    return int(written) if written.isdecimal() else _MONTHS.index(written) + 1


def _zone_of(part: dict[str, str | None]) -> tzinfo | None:
    """
    The zone; None without one.

    Raises:
        ValueError: there cannot be such a zone, or it is not known here.
    """
    if part["utc"]:
        return UTC
    hours = part["hours"] or part["lost_hours"]
    if hours:
        minutes = int(part["minutes"] or part["lost_minutes"] or 0)
        if minutes >= 60:  # noqa: PLR2004 (minutes of an hour)
            raise ValueError
        offset = timedelta(hours=int(hours), minutes=minutes)
        return timezone(-offset if part["sign"] in ("-", "\u2212") else offset)
    region = part["region"]
    if region is None:
        return None
    if region.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if not _REGION.fullmatch(region):
        raise ValueError
    try:
        return ZoneInfo(region)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError from error
