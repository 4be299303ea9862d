"""Callbacks that share no text, name or address with what the dictionary was trained on."""

import json
from pathlib import Path
from random import Random
from uuid import UUID

FOLDER = Path(__file__).parents[2] / "payloads"
DOCUMENTED = {name: (FOLDER / f"{name}.json").read_bytes() for name in ("progress", "inbound")}

TEXTS = (
    "Η συνδρομή σας λήγει την Παρασκευή. Ανανεώστε την έγκαιρα, χωρίς διακοπή των προνομίων.",  # noqa: RUF001
    "Your spare key has been cut and can be collected from our Patras workshop.",
    "Γεια σου Ελένη! Ο γιατρός θα σας δει την Τρίτη στις 18:30. Δεν μπορείτε; Γράψτε μας.",  # noqa: RUF001
    "-20% στα αθλητικά παπούτσια αυτό το Σαββατοκύριακο: RUN20 στο καλάθι, και τρέξτε.",
    "Flash sale: running shoes from 39,90€. While stocks last. Terms apply.",
    "Test",
)
REASONS = (
    ("DELIVERED", {"detailedStatus": "Success", "description": "Message was delivered"}),
    ("SEEN", None),
    ("QUEUED", None),
    ("UNDELIVERED", {"detailedStatus": "Absent Subscriber", "description": "It is unreachable"}),
)


def unseen(rng: Random) -> bytes:
    """One progress callback, compact, through the token of a campaign."""
    status, reason = rng.choice(REASONS)
    document: dict[str, object] = {
        "trackingId": _id(rng),
        "campaignTrackingId": _id(rng),
        "to": f"+3069{rng.randrange(10**8):08}",
        "from": "AcmeTelecom",
        "groups": [],
        "country": "GR",
        "status": {"name": status, "reason": reason, "updatedDate": _time(rng)},
        "body": {"text": rng.choice(TEXTS), "imageURL": None, "viberAction": _action(rng)},
        "ttl": rng.choice((300, 1209600)),
        "label": rng.choice((None, "newsletter-07", "crm/4411")),
        "inboundUrl": _inbound_url(rng),
        "applicationName": "default",
        "price": rng.choice((0.035, 0.0142)),
        "direction": "Outbound",
        "originatingService": "Viber",
        "createdAt": _time(rng),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _inbound_url(rng: Random) -> str:
    return f"https://in.acme-telecom.gr/callbacks/{_id(rng)}.{rng.getrandbits(256):064x}/inbound"


def _action(rng: Random) -> dict[str, str] | None:
    action = {"caption": "Περισσότερα", "targetUrl": "https://acme-telecom.gr/offers/run?c=v1"}
    return rng.choice((None, action))


def _time(rng: Random) -> str:
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    return f"2027-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{clock}.{rng.randrange(1000):03}Z"


def _id(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
