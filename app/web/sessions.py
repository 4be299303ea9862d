"""Sessions of signed-in people: a signed cookie that is bound to an API key."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

#: After which a person signs in anew.
SESSION_SECONDS: Final = 12 * 3600
#: Clocks of two machines do not differ by more.
_CLOCKS_DIFFER_SECONDS: Final = 60
_NONCE_BYTES: Final = 9
_FORM: Final = re.compile(
    r"1\.([0-9a-f]{32})\.([0-9]{1,12})\.([A-Za-z0-9_-]{1,32})\.([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Session:
    """What a cookie says: whose session it is. Whether its key is still good, it does not say."""

    key_id: UUID
    #: All of it but the signature.
    content: str


class Sessions:
    """
    Makes and reads the values of cookies.

    Args:
        secrets_of_service: At least one: the first signs, all verify. What signs is derived from
            them, so that a signature of a session is good for nothing else.
    """

    def __init__(
        self, secrets_of_service: Sequence[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = [
            hashlib.sha256(b"sessions of the dashboard\0" + secret.encode()).digest()
            for secret in secrets_of_service
        ]
        self._clock = clock

    def begin(self, key_id: UUID) -> str:
        """The value of a cookie for a new session of that API key."""
        content = f"1.{key_id.hex}.{int(self._clock())}.{secrets.token_urlsafe(_NONCE_BYTES)}"
        return f"{content}.{_signature(self._keys[0], content)}"

    def find(self, value: str) -> Session | None:
        """The session of a cookie; None if it is not one of ours, or too old."""
        parts = _FORM.fullmatch(value)
        if parts is None:
            return None
        content, _, signature = value.rpartition(".")
        if not any(hmac.compare_digest(_signature(key, content), signature) for key in self._keys):
            return None
        age = self._clock() - int(parts[2])
        if not -_CLOCKS_DIFFER_SECONDS <= age < SESSION_SECONDS:
            return None
        return Session(UUID(parts[1]), content)

    def token(self, content: str) -> str:
        """What each form of the session *content* carries."""
        return _signature(self._keys[0], f"form {content}")

    def is_token(self, token: str, content: str) -> bool:
        """Whether *token* is of a form of the session *content*."""
        octets = token.encode(errors="replace")
        return any(
            hmac.compare_digest(_signature(key, f"form {content}").encode(), octets)
            for key in self._keys
        )


def _signature(key: bytes, content: str) -> str:
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
