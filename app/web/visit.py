"""One request for a page: who asks, what that person may see and do, and the answer."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.domain.api_key import ApiKey, Scope
from app.domain.erasure import PSEUDONYM_PREFIX
from app.domain.escaped_numbers import mask_escaped_numbers
from app.domain.masking import mask_number
from app.domain.tracking_id import canonical_id
from app.errors import Forbidden, ForeignForm, NotFound
from app.web.forms import Form, read_form
from app.web.parts import PageParts
from app.web.proxies import Origin
from app.web.rendering import rendered

#: No id is longer.
_MAX_ID_BYTES: Final = 512
#: The region of a page that the script asks for alone.
FRAGMENT_HEADER: Final = "x-fragment"
#: The hidden field of each form.
TOKEN_FIELD: Final = "token"  # noqa: S105 (a name)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    name: str
    scopes: frozenset[Scope]
    #: What the tokens of forms are bound to.
    session: str
    #: Whether it was a proxy that signed the person in, and so signs out.
    by_proxy: bool = False

    def allows(self, scope: Scope) -> bool:
        """Whether the person has *scope*."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def person_of_key(key: ApiKey, session: str) -> Person:
    """Who has signed in with *key*."""
    return Person(key.name, key.scopes, session)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a person."""

    request: Request
    parts: PageParts
    origin: Origin
    #: None on pages that need no sign-in.
    person: Person | None
    path_values: Mapping[str, str] = field(default_factory=dict)

    # What the person asks for.

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the URL; of one that comes several times, the last value."""
        return self.request.query_params

    def id(self, name: str = "id") -> str:
        """
        The opaque id in the path.

        Raises:
            NotFound: no id can be that.
        """
        octets = unquote_to_bytes(self.path_values[name])
        if 0 < len(octets) <= _MAX_ID_BYTES and b"\0" not in octets:
            with suppress(UnicodeDecodeError):
                return canonical_id(octets.decode())
        raise NotFound("The address ends with something that no id can be.")

    async def form(self) -> Form:
        """
        The fields of the posted form.

        Raises:
            ForeignForm: it was not made for this session.
            BodyTooLarge: it is larger than any form here.
            BodyTooSlow: it was not complete in time.
            InvalidRequest: it is no form.
        """
        form = await read_form(self.request)
        if self.person is not None and not self.parts.sessions.is_token(
            form.get(TOKEN_FIELD, ""), self.person.session
        ):
            raise ForeignForm(
                "It may have been opened before you signed in. Nothing was done: go back, reload "
                "the page, and send it again."
            )
        return form

    # What the person may see.

    def may(self, scope: Scope | str) -> bool:
        """Whether the person has *scope*."""
        return self.person is not None and self.person.allows(Scope(scope))

    def require(self, scope: Scope) -> None:
        """
        Return if the person has *scope*.

        Raises:
            Forbidden: not so.
        """
        if not self.may(scope):
            raise Forbidden(f"This needs an API key of scope `{scope}`.")

    def number(self, number: str | None) -> str:
        """
        A telephone number, masked to its last three digits without scope `pii`.

        What stands for an erased one is no number, and has no digits of it.
        """
        if not number:
            return ""
        if self.may(Scope.PII):
            return number
        return "erased" if number.startswith(PSEUDONYM_PREFIX) else mask_number(number)

    def text(self, text: str | None) -> str:
        """A text without secrets, and without scope `pii` without telephone numbers."""
        shown = self.parts.mask.shown(text or "")
        return shown if self.may(Scope.PII) else mask_escaped_numbers(shown)

    def may_be_in_address(self, text: str | None) -> bool:
        """
        Whether *text* may stand in the address of a link: it has no secret and no number.

        This holds for all scopes: addresses are kept in histories and logs.
        """
        shown = self.parts.mask.shown(text or "")
        return shown == (text or "") and mask_escaped_numbers(shown) == shown

    # Where things are.

    def url(self, path: str, /, *segments: object, **query: object) -> str:
        """
        The address of a page: *path* below the prefix, with *segments* and a *query*.

        `url("/ui/messages", id, status="SEEN")` is /ui/messages/{id}?status=SEEN; values that are
        None or empty are left out, and a list is one parameter for each of its values.
        """
        encoded = "".join(f"/{quote(str(segment), safe='')}" for segment in segments)
        given = [(name, one) for name, value in query.items() for one in _values(value)]
        return f"{self.origin.prefix}{path}{encoded}{'?' if given else ''}{urlencode(given)}"

    def here(self, **changes: object) -> str:
        """The address of this page, with *changes* in its query."""
        raw: bytes = self.request.scope.get("raw_path") or self.request.url.path.encode()
        path = raw.partition(b"?")[0].decode("latin-1")
        given: dict[str, list[str]] = {}
        for name, value in self.request.query_params.multi_items():
            given.setdefault(name, []).append(value)
        return self.url(path, **{**given, **changes})

    def is_at(self, path: str) -> bool:
        """Whether the page lies at *path*, or below it."""
        own: str = self.request.scope["path"]
        return own == path or (path != "/ui/" and own.startswith(f"{path}/"))

    def static(self, name: str) -> str:
        """The address of the file *name* of `static`."""
        return self.url(self.parts.files.path_of(name))

    # The answer.

    @property
    def token(self) -> str:
        """For the hidden field of forms."""
        return "" if self.person is None else self.parts.sessions.token(self.person.session)

    @property
    def is_fragment(self) -> bool:
        """Whether the script asks for the live region of the page alone."""
        return FRAGMENT_HEADER in self.request.headers

    def page(
        self,
        template: str,
        /,
        *,
        title: str,
        status: HTTPStatus = HTTPStatus.OK,
        is_live: bool = False,
        **values: Any,  # noqa: ANN401 (whatever the template shows)
    ) -> Response:
        """
        The page that *template* makes of *values*.

        With *is_live* the script asks for its block `live` again and again; without, nothing on
        it changes any more.
        """
        context = {**values, "visit": self, "title": title, "is_live": is_live}
        if self.is_fragment:
            return rendered(template, context, self.request, status, fragment="live")
        return rendered(template, context, self.request, status)

    def to(self, url: str) -> Response:
        """Lead the browser to *url*, made by `url`, by GET."""
        return RedirectResponse(url, HTTPStatus.SEE_OTHER)


def _values(value: object) -> list[str]:
    """The values of one parameter of a query."""
    many = value if isinstance(value, (list, tuple)) else [value]
    return [str(one) for one in many if one is not None and one != ""]
