"""
Synthetic payloads of every kind to train a dictionary on.

What a dictionary contains of a live payload could not be erased again. So ids are random, and the
local part of every number begins with four zeros.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from app.db.payloads.training import vocabulary

Document = dict[str, object]

_FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS: Final = 5 * 365
_DAY_MILLISECONDS: Final = 86_400_000


def payloads(rng: Random, *, items: int) -> Iterator[bytes]:
    """*items* payloads: three progress callbacks, one tracking answer and one reply in five."""
    kinds = (_progress, _progress, _progress, _tracked, _inbound)
    for number in range(items):
        document = kinds[number % len(kinds)](rng)
        yield _written(rng, document)


def _written(rng: Random, document: Document) -> bytes:
    separators = rng.choices(((",", ":"), (", ", ": ")), (9, 1))[0]
    return json.dumps(document, ensure_ascii=_chance(rng, 0.05), separators=separators).encode()


def _progress(rng: Random) -> Document:
    queued = _instant(rng)
    return {
        "trackingId": _id(rng),
        "campaignTrackingId": _id(rng),
        "to": _number(rng),
        "from": _name(rng),
        "groups": _groups(rng),
        "country": rng.choice(vocabulary.COUNTRIES),
        "status": _status(rng, queued),
        "body": _body(rng),
        "ttl": rng.choice(vocabulary.TTLS),
        "label": _label(rng),
        "inboundUrl": _inbound_url(rng),
        "applicationName": rng.choice(("default", _name(rng))),
        "price": _price(rng),
        "direction": "Outbound",
        "originatingService": "Viber",
        "createdAt": _iso(queued),
    }


def _status(rng: Random, queued: datetime) -> Document:
    name = rng.choice(tuple(vocabulary.REASONS))
    reached = queued + timedelta(milliseconds=rng.randrange(90_000))
    return {
        "name": rng.choices((name, name.title(), name.lower()), (8, 1, 1))[0],
        "reason": _reason(rng, name),
        "updatedDate": _iso(reached),
    }


def _reason(rng: Random, status: str) -> Document | None:
    known = rng.choice(vocabulary.REASONS[status])
    return known and {"detailedStatus": known[0], "description": known[1]}


def _body(rng: Random) -> Document:
    return {"text": _maybe(rng, _text), "imageURL": _maybe(rng, _url), "viberAction": _action(rng)}


def _action(rng: Random) -> Document | None:
    if _chance(rng, 0.3):
        return None
    return {"caption": " ".join(_words(rng, 2)), "targetUrl": _url(rng)}


def _tracked(rng: Random) -> Document:
    reached = _instant(rng)
    name = rng.choice(tuple(vocabulary.REASONS))
    return {
        "trackingId": _id(rng),
        "to": _number(rng),
        "from": _name(rng),
        "groups": _groups(rng),
        "country": rng.choice(vocabulary.COUNTRIES),
        "status": {"status": name, "date": _iso(reached), "reason": _reason(rng, name)},
        "campaign": _name(rng),
        "campaignTrackingId": _id(rng),
        "applicationName": "default",
        "originatingService": "Viber",
        "direction": "Outbound",
        "ttl": rng.choice(vocabulary.TTLS),
        "message": _maybe(rng, _text),
        "viberAction": _action(rng),
        "imageUrl": _maybe(rng, _url),
        "viberFile": _maybe(rng, _file),
        "viberVideo": _maybe(rng, _video),
        "price": _price(rng),
        "sessionId": None,
        "sessionMessage": _chance(rng, 0.1),
        "expireOnDelivery": False,
    }


def _file(rng: Random) -> Document:
    return {"fileName": _file_name(rng), "fileType": "pdf", "fileUrl": _url(rng)}


def _video(rng: Random) -> Document:
    return {
        "videoUrl": _url(rng),
        "videoThumbnail": _url(rng),
        "fileSize": rng.randrange(1, 200),
        "duration": rng.randrange(1, 600),
    }


def _inbound(rng: Random) -> Document:
    return {
        "from": _number(rng),
        "to": _name(rng),
        "message": _maybe(rng, _text),
        "sentDate": _iso(_instant(rng)),
        "campaignName": _maybe(rng, _name),
        "campaignTrackingId": _id(rng),
        "referenceTrackingId": _id(rng),
        "direction": "Inbound",
        "media": _maybe(rng, _url),
        "filename": _maybe(rng, _file_name),
        "label": _label(rng),
    }


def _maybe(rng: Random, make: Callable[[Random], object]) -> object:
    return make(rng) if _chance(rng, 0.6) else None


def _chance(rng: Random, share: float) -> bool:
    return rng.random() < share


def _words(rng: Random, items: int) -> list[str]:
    return rng.choices(rng.choice(vocabulary.LANGUAGES), k=items)


def _text(rng: Random) -> str:
    language = rng.choice(vocabulary.LANGUAGES)
    sentences = (rng.choices(language, k=rng.randrange(3, 12)) for _ in range(rng.randrange(1, 5)))
    return " ".join(" ".join(words).capitalize() + rng.choice(".!?") for words in sentences)


def _name(rng: Random) -> str:
    return rng.choice(("", " ", "-")).join(_words(rng, 2))[:30]


def _label(rng: Random) -> str | None:
    return rng.choice((None, "-".join(_words(rng, 2)), f"{_name(rng)} {rng.randrange(1000)}"))


def _url(rng: Random) -> str:
    return f"https://{_host(rng)}/{'/'.join(_latin(rng, 2))}{rng.choice(vocabulary.ENDINGS)}"


def _inbound_url(rng: Random) -> str | None:
    ours = f"https://{_host(rng)}/callbacks/{_id(rng)}.{rng.getrandbits(256):064x}/inbound"
    return rng.choice((ours, ours, ours, _url(rng), None))


def _host(rng: Random) -> str:
    return f"{rng.choice(vocabulary.HOSTS)}{_latin(rng, 1)[0]}{rng.choice(vocabulary.DOMAINS)}"


def _latin(rng: Random, items: int) -> list[str]:
    return rng.choices(vocabulary.ENGLISH, k=items)


def _file_name(rng: Random) -> str:
    return f"{'-'.join(_latin(rng, 2))}{rng.choice(vocabulary.ENDINGS)}"


def _groups(rng: Random) -> list[str]:
    return _latin(rng, rng.choice((0, 0, 0, 1, 2)))


def _number(rng: Random) -> str:
    return f"{rng.choice(vocabulary.PREFIXES)}0000{rng.randrange(10_000):04}"


def _price(rng: Random) -> float:
    return rng.randrange(1, 200) / 1000


def _id(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _instant(rng: Random) -> datetime:
    day = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
    return day + timedelta(milliseconds=rng.randrange(_DAY_MILLISECONDS))


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
