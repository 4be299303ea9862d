"""Reading the forms that browsers post: how large, how slow, and from where."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from app.errors import BodyTooLarge, BodyTooSlow, ForeignForm, InvalidRequest

#: No form here has more.
MAX_FORM_BYTES: Final = 16_384
MAX_FORM_SECONDS: Final = 10.0
_MAX_FIELDS: Final = 50
_OWN: Final = frozenset({"same-origin", "none"})

Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """
    The fields of the form in *request*, which a page of this service has to have posted.

    Of a field that comes several times, the last value counts.

    Raises:
        ForeignForm: a page of another site has posted it.
        BodyTooLarge: it has more than `MAX_FORM_BYTES`.
        BodyTooSlow: it was not complete in time.
        InvalidRequest: it is no form.
    """
    require_own_site(request)
    try:
        async with asyncio.timeout(MAX_FORM_SECONDS):
            octets = await _body(request)
    except TimeoutError:
        raise BodyTooSlow("The form did not arrive in time.") from None
    try:
        fields = parse_qsl(
            octets.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace"
        )
    except ValueError:
        raise InvalidRequest("This is no form of the dashboard.") from None
    return dict(fields)


def require_own_site(request: Request) -> None:
    """
    Refuse what a page of another site makes a browser send.

    Browsers say where a request comes from in `Sec-Fetch-Site`, which no page can forge; older ones
    name the page's site in `Origin`.

    Raises:
        ForeignForm: it comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_own = site in _OWN
    else:
        origin = request.headers.get("origin", "")
        is_own = host_in(origin) not in {None, ""} and host_in(origin) == host_in(
            f"//{request.headers.get('host', '')}"
        )
    if not is_own:
        raise ForeignForm("It was sent by a page of another site, so nothing was done.")


def host_in(url: str) -> str | None:
    """The host in *url*, without its port, which proxies may leave out."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def _body(request: Request) -> bytes:
    octets = bytearray()
    try:
        async for chunk in request.stream():
            octets += chunk
            if len(octets) > MAX_FORM_BYTES:
                raise BodyTooLarge(f"A form may have at most {MAX_FORM_BYTES} bytes.")
    except ClientDisconnect:
        raise InvalidRequest("The form was cut off.") from None
    return bytes(octets)
