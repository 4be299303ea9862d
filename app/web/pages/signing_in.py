"""Signing in with an API key, and out."""

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import structlog
from starlette.responses import RedirectResponse, Response

from app.domain.api_key import Scope
from app.errors import Overloaded, TooManySignIns, Unauthorized
from app.web.routes import PageRoute
from app.web.signed_in import find_person, is_cookie_plain, set_cookie
from app.web.visit import Visit

log = structlog.get_logger()

_HOME: Final = "/ui/"
_DOTS: Final = frozenset({".", ".."})
_MAX_KEY_CHARACTERS: Final = 200
_NOT_KEPT: Final = (
    "The key is good, but your browser did not keep the session, as it does so over HTTPS alone. "
    "Open this page with https://, or at the machine itself at http://127.0.0.1."
)


async def show_sign_in(visit: Visit) -> Response:
    """The form; who is signed in already is led on."""
    if await find_person(visit.request, visit.parts, visit.origin) is not None:
        return visit.to(visit.url(_beyond(visit.query.get("next", ""))))
    problem = _NOT_KEPT if "kept" in visit.query else ""
    return _form(visit, visit.query.get("next", ""), problem=problem)


async def sign_in(visit: Visit) -> Response:
    """Begin a session for a person with an API key of scope `read`."""
    parts, address = visit.parts, visit.origin.address
    form = await visit.form()
    if wait := parts.failures.seconds_to_wait(address):
        raise TooManySignIns(f"Wait for {wait} s, then try again.", retry_after_seconds=wait)
    beyond = form.get("next", "")
    parts.failures.note(address)
    try:
        key = await parts.keyring.verified(form.get("key", "").strip()[:_MAX_KEY_CHARACTERS])
    except (Unauthorized, Overloaded):
        log.warning("a sign-in to the dashboard has failed", address=address)
        return _form(
            visit,
            beyond,
            problem="This API key is unknown, revoked or expired.",
            status=HTTPStatus.FORBIDDEN,
        )
    except BaseException:
        parts.failures.forgive(address)
        raise
    parts.failures.forgive(address)
    if not key.allows(Scope.READ):
        return _form(
            visit,
            beyond,
            problem=f"The key `{key.name}` lacks the scope `read`, which every page needs.",
            status=HTTPStatus.FORBIDDEN,
        )
    log.info("signed in to the dashboard", name=key.name, address=address)
    answer = RedirectResponse(_after_sign_in(visit, _beyond(beyond)), HTTPStatus.SEE_OTHER)
    set_cookie(answer, visit.request, visit.origin, parts.sessions.begin(key.id))
    return answer


async def sign_out(visit: Visit) -> Response:
    """End the session in this browser."""
    await visit.form()
    answer = RedirectResponse(visit.url("/ui/sign-in"), HTTPStatus.SEE_OTHER)
    set_cookie(answer, visit.request, visit.origin, "")
    return answer


def _after_sign_in(visit: Visit, beyond: str) -> str:
    if visit.origin.is_secure or is_cookie_plain(visit.request, visit.origin):
        return visit.url(beyond)
    # A proxy may speak TLS that nothing here knows of. If none does, the form says so.
    return visit.url("/ui/sign-in", next=beyond, kept="?")


def _form(
    visit: Visit, beyond: str, *, problem: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    return visit.page(
        "sign_in.html", title="Sign in", status=status, problem=problem, beyond=_beyond(beyond)
    )


def _beyond(path: str) -> str:
    """*path*, if it is one of a page here; else the first page. It may come from anybody."""
    is_ours = path.startswith(_HOME) and not path.startswith("/ui/sign-")
    segments = unquote(path.partition("?")[0]).split("/")
    # A browser would go up where there are dots.
    is_plain = path.isprintable() and "\\" not in path and not _DOTS.intersection(segments)
    return path if is_ours and is_plain else _HOME


ROUTES: Final = (
    PageRoute("/ui/sign-in", show_sign_in, scope=None),
    PageRoute("/ui/sign-in", sign_in, "POST", scope=None),
    PageRoute("/ui/sign-out", sign_out, "POST"),
)
