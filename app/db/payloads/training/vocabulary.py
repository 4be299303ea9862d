"""The words of synthetic callbacks."""

from pathlib import Path
from typing import Final

#: The reasons that Routee gives for each status: detailedStatus and description, or null.
REASONS: Final[dict[str, tuple[tuple[str, str] | None, ...]]] = {
    "QUEUED": (None, ("Queued", "The message is queued."), ("Resent", "The message is resent.")),
    "SENT": (None, ("Sent", "The message was sent.")),
    "DELIVERED": (None, ("Delivered", "The message was delivered to its recipient.")),
    "SEEN": (None, ("Seen", "The message was seen by its recipient.")),
    "UNDELIVERED": (
        ("Undelivered", "The message could not be delivered."),
        ("Not Viber User", "The recipient does not use Viber."),
        ("Opted Out", "The recipient does not want messages of this sender."),
        ("System Failure", "The message was lost in a failure of the system."),
        ("Message Rejected", "Viber rejected the message."),
        ("Timed Out", "Viber did not answer for the message in time."),
        ("Unsupported Equipment", "The recipient's device cannot show the message."),
    ),
    "EXPIRED": (("TTL Expired", "The message could not be delivered within its time to live."),),
    "FAILED": (None, ("Failed", "The message failed.")),
    "UNSENT": (("Unsent", "The balance is too low."), ("Insufficient Balance", "Not sent.")),
}

COUNTRIES: Final = ("GR", "GR", "GR", "GR", "CY", "BG", "RO", "RS", "GB", "DE", "IT", "AL")
PREFIXES: Final = ("+3069", "+3069", "+3069", "+35799", "+35988", "+407", "+44770", "+3816", "+491")
TTLS: Final = (None, 30, 60, 300, 600, 3600, 7200, 43200, 86400, 1209600)
HOSTS: Final = ("", "www.", "www.", "api.", "cdn.", "shop.", "viber.", "static.")
DOMAINS: Final = (".com", ".gr", ".com.cy", ".net", ".eu", ".example", ".org", ".io")
ENDINGS: Final = ("", "", "/", ".html", ".jpg", ".png", ".pdf", "?utm_source=viber")


def _words(language: str) -> tuple[str, ...]:
    return tuple((Path(__file__).parent / f"{language}.txt").read_text("utf-8").split())


ENGLISH: Final = _words("english")
LANGUAGES: Final = (_words("greek"), _words("greek"), ENGLISH)
