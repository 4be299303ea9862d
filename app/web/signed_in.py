"""Who is signed in: by the cookie of a session, or by a proxy that is trusted."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from app.errors import Unauthorized
from app.web.forms import host_in
from app.web.parts import PageParts
from app.web.proxies import Origin
from app.web.sessions import SESSION_SECONDS
from app.web.visit import Person, person_of_key

#: Browsers take it only over TLS, from this very host, for all its paths.
_SAFE_NAME: Final = "__Host-routee-receiver"
#: Over plain HTTP, which is for trying at the machine itself.
_PLAIN_NAME: Final = "routee-receiver"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


async def find_person(request: Request, parts: PageParts, origin: Origin) -> Person | None:
    """
    Who sends *request*; None if nobody is signed in.

    Raises:
        DatabaseUnavailable: it cannot be found out.
    """
    if origin.person is not None:
        return Person(
            origin.person, parts.scopes_of_persons, f"person {origin.person}", by_proxy=True
        )
    value = request.cookies.get(_cookie_name(request, origin), "")
    session = parts.sessions.find(value)
    if session is None:
        return None
    try:
        key = await parts.keyring.current(session.key_id)
    except Unauthorized:  # expired or revoked since
        return None
    return person_of_key(key, session.content)


def is_cookie_plain(request: Request, origin: Origin) -> bool:
    """Whether a browser at this machine speaks plain HTTP, which is for trying."""
    return not origin.is_secure and host_in(f"//{request.headers.get('host', '')}") in _LOOPBACK


def set_cookie(response: Response, request: Request, origin: Origin, value: str) -> None:
    """Make the browser keep *value*; an empty one ends the session."""
    name = _cookie_name(request, origin)
    response.set_cookie(
        name,
        value,
        max_age=SESSION_SECONDS if value else 0,
        path="/",
        secure=name == _SAFE_NAME,
        httponly=True,
        samesite="strict",
    )


def _cookie_name(request: Request, origin: Origin) -> str:
    return _PLAIN_NAME if is_cookie_plain(request, origin) else _SAFE_NAME
