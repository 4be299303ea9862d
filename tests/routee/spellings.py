"""The spellings in which people and gateways send the facts of a callback."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

_INVISIBLE = [
    "",
    "",
    "",
    " ",
    "\t",
    "\n",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\u202a",
    "\u3000",
    "\u00ad",
]

#: How a telephone number may be spelt: whoever teaches the reader a spelling adds it here.
NUMBERS: list[Callable[[str], object]] = [str, lambda number: number.removeprefix("+")]


def padded(rng: Random, text: str) -> str:
    return rng.choice(_INVISIBLE) + text + rng.choice(_INVISIBLE)


def cased(rng: Random, text: str) -> str:
    return rng.choice([text, text.upper(), text.lower(), text.title()])


def number(rng: Random, written: str) -> object:
    return rng.choice(NUMBERS)(written)


def instant(rng: Random, at: datetime) -> object:
    """*at*, of which milliseconds count, in any spelling."""
    return rng.choice([_iso_8601, _iso_8601, _iso_8601, _epoch, _named])(rng, at)


def _iso_8601(rng: Random, at: datetime) -> str:
    offset = timedelta(minutes=rng.choice([0, 0, 120, 180, -300, 345]))
    local = at.astimezone(timezone(offset))
    compact = rng.random() < 0.2
    date, clock = ("%Y%m%d", "%H%M%S") if compact else ("%Y-%m-%d", "%H:%M:%S")
    text = f"{local:{date}}{rng.choice(['T', 't', ' '])}{local:{clock}}"
    text += _fraction(rng, local)
    return padded(rng, text + _zone(rng, offset))


def _fraction(rng: Random, at: datetime) -> str:
    if at.microsecond == 0 and rng.random() < 0.5:
        return rng.choice(["", "", ".", ".0"])
    digits = f"{at.microsecond:06}"[: rng.choice([3, 6])]
    return rng.choice(".,") + digits + ("999" if len(digits) == 6 and rng.random() < 0.3 else "")


def _zone(rng: Random, offset: timedelta) -> str:
    if not offset:
        return rng.choice(["", "Z", "z", "+00:00", "-00:00", " UTC", "GMT", " 00:00", "Z[UTC]"])
    minutes = abs(offset) // timedelta(minutes=1)
    hh, mm = f"{minutes // 60:02}", f"{minutes % 60:02}"
    sign = "-" if offset < timedelta() else "+"
    spelt = [f"{sign}{hh}:{mm}", f"{sign}{hh}{mm}", f" {sign}{hh}:{mm}"]
    if sign == "+":
        spelt += [f" {hh}:{mm}", f"+{hh}:{mm}[Asia/Kathmandu]"]
    if mm == "00":
        spelt.append(f"{sign}{hh}")
    return rng.choice(spelt)


def _epoch(rng: Random, at: datetime) -> object:
    microseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    spelt: list[object] = [microseconds // 1000, microseconds, microseconds * 1000 + 7]
    seconds, fraction = divmod(microseconds, 10**6)
    spelt.append(f"{seconds}.{fraction:06}")
    if not fraction:
        spelt.append(seconds)
    one = rng.choice(spelt)
    return one if rng.random() < 0.5 else padded(rng, str(one))


def _named(rng: Random, at: datetime) -> object:
    if at.microsecond:
        return _iso_8601(rng, at)
    zone = rng.choice([" GMT", " UTC", " +0000", ""])
    return padded(
        rng, rng.choice([f"{at:%a, %d %b %Y %H:%M:%S}", f"{at:%A, %d-%b-%y %H:%M:%S}"]) + zone
    )


def damaged(rng: Random, text: str) -> str:
    """*text* with one character lost, doubled or replaced."""
    at = rng.randrange(len(text))
    there = rng.choice(["", text[at] * 2, rng.choice("0123456789:-. TZ+/")])
    return text[:at] + there + text[at + 1 :]


def status(rng: Random, word: str, at: object) -> dict[str, Any]:
    """The members that say which status was reached, and when."""
    word = padded(rng, cased(rng, word))
    shape = rng.randrange(4)
    if shape == 0:
        return {"status": {"name": word, "updatedDate": at}}
    if shape == 1:
        return {"status": {"status": word, "date": at, "reason": None}}
    if shape == 2:
        return {"status": {"name": "", "status": word}, "updatedDate": at}
    return {"status": word, "updatedDate": at}
