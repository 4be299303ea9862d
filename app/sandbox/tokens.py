"""The access tokens of the simulated Routee (routee-contract, section 1)."""

import base64
import binascii
import hmac
import secrets
import time
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse

_GRANT = "client_credentials"


class TokenIssuer:
    """Issues access tokens; a living token is issued again, as Routee does."""

    def __init__(
        self, *, application_id: str, application_secret: str, lifetime_seconds: float
    ) -> None:
        #: The life of the next token; the current one keeps its own.
        self.lifetime_seconds = lifetime_seconds
        self._credentials = f"{application_id}:{application_secret}".encode()
        self._token = ""
        self._expires_at = 0.0

    async def issue(self, request: Request) -> JSONResponse:
        """Answer `POST /oauth/token`."""
        if not self._knows(request.headers.get("authorization", "")):
            return _token_error(401, "unauthorized", "Full authentication is required")
        form = parse_qs((await request.body()).decode(errors="replace"))
        if form.get("grant_type") != [_GRANT]:
            return _token_error(400, "unsupported_grant_type", "Unsupported grant type")
        self._renew()
        return JSONResponse(
            {
                "access_token": self._token,
                "token_type": "bearer",
                "expires_in": max(0, int(self._expires_at - time.monotonic() + 0.5)),
                "scope": "viber",
                "permissions": ["MT_ROLE_VIBER"],
            }
        )

    def accepts(self, authorization: str) -> bool:
        """Whether the `Authorization` header has the living token."""
        expected = f"Bearer {self._token}".encode()
        alive = time.monotonic() < self._expires_at
        return alive and hmac.compare_digest(authorization.encode(), expected)

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            credentials = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(credentials, self._credentials)

    def _renew(self) -> None:
        now = time.monotonic()
        if now >= self._expires_at:
            self._token = secrets.token_urlsafe(24)
            self._expires_at = now + self.lifetime_seconds


def unknown_token() -> JSONResponse:
    """The answer of every endpoint to an unknown or expired token."""
    return _token_error(401, "invalid_token", "The access token is invalid or has expired")


def _token_error(status: int, error: str, description: str) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)
