"""Whether what lies between Routee and the database works: the buffer, Routee, the public URL."""

import asyncio
import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import httpx

from app.buffer.connection import Buffer
from app.db.database import Database
from app.db.quarantine import drop_quarantined, find_body
from app.domain.masking import SecretMask
from app.kit.addresses import is_public, resolve_by_system
from app.routee.client import RouteeClient
from app.services.callbacks.sources import CallbackSources
from app.services.doctor.examination import Notes

_ANSWER_SECONDS: Final = 10.0
#: Routee hangs up then.
_ROUTEE_SECONDS: Final = 2.0
#: Until a worker has stored what the buffer acknowledged.
_STORED_WITHIN_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.2
_CERTIFICATE_WARNING: Final = timedelta(days=14)
_OUR_PROBLEMS: Final = "urn:routee-receiver:problem:"
_NOT_OURS: Final = "What answers there is not this service: see what the proxy forwards."
_OURS: Final = "This service answers there: see its log and /readyz."
_SOURCES: Final = (
    "Add its address to follow a callback further; behind a proxy see RECEIVER_TRUSTED_PROXIES."
)
_ADVICE: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "The proxy wants a login: callbacks must pass without one.",
    HTTPStatus.FORBIDDEN: "The proxy refuses it: let POST and GET of /callbacks/ pass.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Let POST pass at /callbacks/.",
    HTTPStatus.BAD_GATEWAY: "The proxy does not reach the service: see its upstream address.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing can be stored there: run doctor on that machine.",
    HTTPStatus.GATEWAY_TIMEOUT: "The service does not answer the proxy: see its upstream address.",
}


async def examine_buffer(buffer: Buffer, notes: Notes) -> None:
    """Note whether the buffer answers and is durable."""
    try:
        await buffer.start()
        backlog = await buffer.check()
    finally:
        await buffer.close()
    seconds = backlog.age_seconds(datetime.now(UTC))
    text = f"durable; {backlog.messages} batches wait, the oldest for {seconds:.0f} s"
    if seconds > _STORED_WITHIN_SECONDS:
        notes.warn(text, "See whether `routee-receiver work` runs, and what it logs.")
    else:
        notes.ok(text)


async def examine_credentials(client: RouteeClient, notes: Notes) -> None:
    """Obtain an access token of Routee; nothing is asked with it."""
    async with client:
        await client.authenticate()
    notes.ok("Routee gives an access token")


async def examine_sources(sources: CallbackSources, notes: Notes) -> None:
    """Look up the host names among the sources of callbacks."""
    await sources.look_up()
    for name in sources.unknown:
        notes.fault(
            f"DNS has no address of {name}: callbacks from there are refused",
            "Correct RECEIVER_CALLBACK_SOURCES, or the record.",
        )
    if not notes.found:
        notes.ok("all host names have addresses")


class PublicUrlExamination:
    """
    Follows a callback from the public URL to the database, hop by hop.

    It is marked, and no callback: it is put into the quarantine, and removed from there.

    Args:
        public_url: `https://…`, as Routee sees it.
        token: A callback token.
        database: Where it must arrive.
        mask: Hides the secrets in what is noted.
    """

    def __init__(self, public_url: str, token: str, database: Database, mask: SecretMask) -> None:
        self._url = f"{public_url}/callbacks/{token}/status"
        self._host = urlsplit(public_url)
        self._database = database
        self._mask = mask

    async def examine(self, notes: Notes) -> None:
        """Note each hop, up to the first one that fails."""
        context = ssl.create_default_context()
        if not await _is_resolved(self._host, notes):
            return
        if not await _is_connected(self._host, context, notes):
            return
        async with httpx.AsyncClient(
            verify=context, timeout=_ANSWER_SECONDS, trust_env=False
        ) as client:
            if await self._is_answered(client, notes):
                await self._follow(client, notes)

    async def _is_answered(self, client: httpx.AsyncClient, notes: Notes) -> bool:
        answer = await self._asked(client, notes, "GET")
        if answer is None:
            return False
        notes.ok(f"proxy and token: 200 from {_server_of(answer)}")
        return True

    async def _follow(self, client: httpx.AsyncClient, notes: Notes) -> None:
        body = json.dumps({"doctor": str(uuid4())}).encode()
        began = time.monotonic()
        answer = await self._asked(client, notes, "POST", body)
        if answer is None:
            return
        seconds = time.monotonic() - began
        if seconds > _ROUTEE_SECONDS:
            notes.warn(
                f"a callback took {seconds:.1f} s; Routee hangs up after {_ROUTEE_SECONDS:g} s",
                "See the durations in /metrics, and what the proxy adds.",
            )
        else:
            notes.ok(f"a marked callback was acknowledged after {seconds:.2f} s")
        body_id = await self._stored_id(body)
        if body_id is None:
            notes.fault(
                "it was acknowledged, but is not in this database",
                "The public URL leads to a service with another database, or with a buffer that "
                "no worker empties.",
            )
            return
        await drop_quarantined(self._database, body_id)
        notes.ok("it was stored, found, and removed again")

    async def _asked(
        self, client: httpx.AsyncClient, notes: Notes, method: str, body: bytes | None = None
    ) -> httpx.Response | None:
        """The answer if it is our 200; else it is noted."""
        headers = {"Content-Type": "application/json"} if body else None
        try:
            answer = await client.request(method, self._url, content=body, headers=headers)
        except (httpx.HTTPError, ssl.SSLError) as error:
            reason = self._mask.shown(str(error)) or type(error).__name__
            notes.fault(f"{method} got no answer: {reason}", "See the log of the proxy.")
            return None
        if answer.status_code == HTTPStatus.OK and _result_of(answer) is not None:
            return answer
        where = self._mask.shown(answer.headers.get("Location", ""))
        led = f" to {where}" if where else ""
        text = f"{method} was answered {answer.status_code}{led} by {_server_of(answer)}"
        if answer.status_code == HTTPStatus.FORBIDDEN and _is_ours(answer):
            # Routee may be among the sources all the same.
            notes.warn(f"{text}: RECEIVER_CALLBACK_SOURCES has not this machine", _SOURCES)
        else:
            notes.fault(text, _advice_on(answer))
        return None

    async def _stored_id(self, body: bytes) -> int | None:
        deadline = time.monotonic() + _STORED_WITHIN_SECONDS
        while (found := await find_body(self._database, body)) is None:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_PAUSE_SECONDS)
        return found


async def _is_resolved(host: SplitResult, notes: Notes) -> bool:
    try:
        addresses = sorted(await resolve_by_system(host.hostname or "", _port_of(host)))
    except (OSError, UnicodeError) as error:
        notes.fault(
            f"DNS has no address of {host.hostname}: {getattr(error, 'strerror', 'no name')}",
            "Add a record.",
        )
        return False
    is_name = addresses != [host.hostname]
    text = (
        f"DNS: {host.hostname} is {', '.join(addresses)}" if is_name else f"address {addresses[0]}"
    )
    if not any(is_public(ip_address(one)) for one in addresses):
        notes.warn(
            f"{text}, which is not on the internet: Routee cannot reach it",
            "Use a public name, unless this one has another address for Routee.",
        )
    else:
        notes.ok(text)
    return True


def _port_of(host: SplitResult) -> int:
    return host.port or (443 if host.scheme == "https" else 80)


async def _is_connected(host: SplitResult, context: ssl.SSLContext, notes: Notes) -> bool:
    is_https = host.scheme == "https"
    port = _port_of(host)
    name = host.hostname or ""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(name, port, ssl=context if is_https else None)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        notes.fault(
            f"TLS with {name}:{port} fails: {reason}",
            "Routee accepts only a certificate for this name that a public authority has signed, "
            "with the whole chain.",
        )
        return False
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        notes.fault(f"no connection to {name}:{port}: {reason}", "See the proxy and the firewall.")
        return False
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    if not is_https:
        return True
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    text = f"TLS: the certificate is good until {ends:%Y-%m-%d}"
    if ends - datetime.now(UTC) < _CERTIFICATE_WARNING:
        notes.warn(text, "Renew it.")
    else:
        notes.ok(text)
    return True


def _result_of(answer: httpx.Response) -> object:
    """What our answer says; None if it is not ours."""
    try:
        document = answer.json()
    except ValueError:
        return None
    return document.get("result") if isinstance(document, dict) else None


def _is_ours(answer: httpx.Response) -> bool:
    """Whether this program answered, not a proxy."""
    try:
        problem = answer.json().get("type", "")
    except (ValueError, AttributeError):
        return False
    return isinstance(problem, str) and problem.startswith(_OUR_PROBLEMS)


def _advice_on(answer: httpx.Response) -> str:
    is_ours = _is_ours(answer)
    if answer.is_redirect:
        return "Routee posts to this very address: set RECEIVER_PUBLIC_URL to where it leads."
    if answer.status_code == HTTPStatus.NOT_FOUND and is_ours:
        return "The service there has other RECEIVER_CALLBACK_SECRETS than this one."
    return _ADVICE.get(answer.status_code, _OURS if is_ours else _NOT_OURS)


def _server_of(answer: httpx.Response) -> str:
    """What names itself as the server, such as a proxy."""
    name = str(answer.headers.get("Server", ""))[:60]
    return name if name.isprintable() and name else "a server without a name"
