"""The tokens in callback URLs, and the campaign that each is for."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

_PURPOSE: Final = b"routee-receiver callback token v1 "
_UUID_CHARACTERS: Final = 36


class Origin(NamedTuple):
    """The origin of a callback, according to its token."""

    #: The campaign that the token was made for; None for a token that is valid for all.
    campaign_id: UUID | None


ANYWHERE: Final = Origin(None)


class CallbackTokens:
    """
    Verifies tokens, and makes those of campaigns.

    A token is one of the configured secrets, which is valid for all campaigns, or
    `{campaign id}.{HMAC-SHA256 in hex}`, which is valid for its campaign only. The first signing
    key signs, all of them verify.
    """

    def __init__(self, *, secrets: Sequence[str], signing_keys: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._signing_keys = [key.encode() for key in signing_keys]

    def for_campaign(self, campaign_id: UUID) -> str:
        """
        The token in the callback URLs of one campaign.

        Raises:
            IndexError: there is no signing key.
        """
        return f"{campaign_id}.{_signature(self._signing_keys[0], campaign_id)}"

    def find_origin(self, token: str) -> Origin | None:
        """The origin that *token* proves; None if it is invalid. Compares in constant time."""
        offered = token.encode(errors="surrogateescape")
        matches = [hmac.compare_digest(offered, secret) for secret in self._secrets]
        if any(matches):
            return ANYWHERE
        return self._origin_of_signed(token)

    def _origin_of_signed(self, token: str) -> Origin | None:
        text, dot, signature = token.partition(".")
        if not dot or len(text) != _UUID_CHARACTERS:
            return None
        try:
            campaign_id = UUID(text)
        except ValueError:
            return None
        offered = signature.encode(errors="surrogateescape")
        matches = [
            hmac.compare_digest(offered, _signature(key, campaign_id).encode())
            for key in self._signing_keys
        ]
        return Origin(campaign_id) if any(matches) else None


def _signature(key: bytes, campaign_id: UUID) -> str:
    return hmac.new(key, _PURPOSE + campaign_id.bytes, hashlib.sha256).hexdigest()
