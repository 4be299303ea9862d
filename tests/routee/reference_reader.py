"""A slow and obvious reader of callbacks, to compare the real one with."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Read(NamedTuple):
    """What a callback says."""

    kind: str
    #: Of the message, or of the message that is answered.
    message_id: str | None
    campaign_id: str | None
    word: str | None
    at: datetime | None


def read(document: dict[str, Any], path: str) -> Read:
    """What *document* says that was posted to *path*."""
    status = document.get("status")
    inside = status if isinstance(status, dict) else {"status": status}
    kind = kind_of(document, path)
    if kind == "reply":
        times = [document.get(name) for name in ("sentDate", "receivedDate", "timestamp")]
        ids = [document.get("referenceTrackingId")]
        word = None
    else:
        times = [inside.get("updatedDate"), inside.get("date"), document.get("updatedDate")]
        ids = [document.get("trackingId"), document.get("messageId")]
        words = [plain(inside.get(name)) for name in ("name", "status")]
        word = next((one for one in words if one), None)
        if word is not None and word.upper() == "QUEUED":
            times.append(document.get("createdAt"))
    return Read(
        kind,
        next(filter(None, map(tracking_id, ids)), None),
        tracking_id(document.get("campaignTrackingId")),
        word,
        next(filter(None, map(time, times)), None),
    )


def kind_of(document: dict[str, Any], path: str) -> str:
    """What the documents of the provider say, one line after the other."""
    direction = (plain(document.get("direction")) or "").lower()
    if direction == "inbound":
        return "reply"
    if direction == "outbound":
        return "progress"
    if "sentDate" not in document and "referenceTrackingId" not in document:
        return "progress"
    if path.endswith("inbound") or not document.get("status"):
        return "reply"
    return "progress"


def plain(value: object) -> str | None:
    """A text without what cannot be seen at its ends."""
    if not isinstance(value, str):
        return None
    while value and (value[0].isspace() or value[0] in "\u200b\u2060\ufeff\u202a\u202c\u00ad"):
        value = value[1:]
    while value and (value[-1].isspace() or value[-1] in "\u200b\u2060\ufeff\u202a\u202c\u00ad"):
        value = value[:-1]
    return value or None


def tracking_id(value: object) -> str | None:
    text = plain(value)
    if text is not None and _UUID.fullmatch(text.lower()):
        return text.lower()
    return text


def time(value: object) -> datetime | None:
    """A time of the years 2010 to 2099."""
    found = _time(value)
    return found if found is not None and 2010 <= found.year <= 2099 else None


def _time(value: object) -> datetime | None:
    if isinstance(value, int | float):
        return _epoch(Fraction(str(value)))
    text = plain(value)
    if text is None:
        return None
    if re.fullmatch(r"\+?\d{10,19}([.,]\d*)?", text):
        found = _epoch(Fraction(text.replace(",", ".").rstrip(".")))
        if found is not None:
            return found
    # Any blanks are as good as one.
    text = " ".join(re.split(r"\s+", text))
    if text.endswith("[UTC]"):
        text = text.removesuffix("[UTC]").rstrip()
    elif re.search(r"\[[^\[\]]+\]$", text):
        text = text[: text.rindex("[")].rstrip()
        if _local(text) is not None:
            raise NotImplementedError  # no test has a region without an offset
    if _local(text) is not None:
        return _local(text)
    return _with_zone(text)


def _with_zone(text: str) -> datetime | None:
    for word in ("Z", "UTC", "GMT", "UT"):
        if text.upper().endswith(word):
            return _moment(text[: -len(word)].rstrip())
    for length in (3, 5, 6):
        ahead = _OFFSETS.get(text[-length:])
        if ahead is not None:
            local = text[:-length]
            if text[-length] != " ":
                local = re.sub("(UTC|GMT)$", "", local.rstrip(), flags=re.IGNORECASE).rstrip()
            instant = _moment(local)
            if instant is not None:
                return instant - ahead
    return None


def _all_offsets() -> dict[str, timedelta]:
    offsets = {}
    for minutes in range(24 * 60):
        ahead = timedelta(minutes=minutes)
        hh, mm = f"{minutes // 60:02}", f"{minutes % 60:02}"
        for sign, factor in (("+", 1), ("-", -1), (" ", 1)):
            offsets[f"{sign}{hh}:{mm}"] = offsets[f"{sign}{hh}{mm}"] = factor * ahead
            if mm == "00" and sign != " ":
                offsets[f"{sign}{hh}"] = factor * ahead
    return offsets


#: From the text of an offset to how far it is ahead of UTC.
_OFFSETS = _all_offsets()


def _epoch(number: Fraction) -> datetime | None:
    for unit in (1, 10**3, 10**6, 10**9):
        microseconds = int(number * 10**6 / unit)
        if 1_262_304_000 <= microseconds // 10**6 < 4_102_444_800:
            return _EPOCH + timedelta(microseconds=microseconds)
    return None


def _moment(text: str) -> datetime | None:
    """As `_local`, but not of a date alone."""
    return None if re.fullmatch("[-/0-9]{0,10}", text) else _local(text)


_DATES = ("9999-99-99", "9999/99/99", "99999999")
_CLOCKS = ("99", "9999", "99:99", "999999", "99:99:99", "9999:99", "99:9999")
_SHAPES = {
    *_DATES,
    *(f"{date}{between}{clock}" for date in _DATES for between in "Tt " for clock in _CLOCKS),
    "999999999999",
    "9999999999:99",
    "99999999999999",
    "9999999999:99:99",
    "9999999999:9999",
}


def _local(text: str) -> datetime | None:
    """The time on a clock that is not far from UTC at all."""
    named = (
        r"(?:[A-Za-z]{3,9},? )?(\d\d?)[ -]([A-Za-z]{3})[ -](\d{4}|\d\d) (\d\d):(\d\d)(?::(\d\d))?"
    )
    match = re.fullmatch(named, text)
    if match is not None and match[2].title() in _MONTHS:
        day, month, year, hour, minute, second = match.groups()
        full = int(year) + 2000 if len(year) == 2 else int(year)
        clock = int(hour), int(minute), int(second or 0)
        return _instant(full, _MONTHS.index(month.title()) + 1, int(day), *clock)
    whole, fraction = text, ""
    if match := re.fullmatch(r"(.*)[.,](\d*)", text):
        whole, fraction = match.groups()
    digits = re.sub(r"\D", "", whole)
    if re.sub(r"\d", "9", whole) not in _SHAPES or (whole != text and len(digits) != 14):
        return None
    year, pairs = int(digits[:4]), [int(digits[at : at + 2]) for at in range(4, len(digits), 2)]
    month, day, hour, minute, second = pairs + [0] * (5 - len(pairs))
    return _instant(year, month, day, hour, minute, second, int((fraction + "000000")[:6]))


def _instant(  # noqa: PLR0913, PLR0917 (the parts of a time)
    year: int, month: int, day: int, hour: int, minute: int, second: int, microsecond: int = 0
) -> datetime | None:
    """Of a clock that may show 24:00:00, or a 60th second."""
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    if hour > 24 or minute > 59 or second > 60:
        return None
    if hour == 24 and (minute or second or microsecond):
        return None
    later = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microsecond)
    return midnight + later
