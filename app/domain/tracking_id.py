"""The one spelling of an id of Routee's, for storing and for asking."""

import re
from typing import Final

from app.kit.blanks import trimmed

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def canonical_id(written: str) -> str:
    """
    *written* without blanks at its ends, and in small letters if it is a UUID in 8-4-4-4-12 digits.

    Any other id is opaque: one in capitals is another one.
    """
    if written.isascii() and written.strip() == written and written.lower() == written:
        return written  # as nearly always
    tracking_id = trimmed(written)
    return tracking_id.lower() if _UUID.fullmatch(tracking_id) else tracking_id
