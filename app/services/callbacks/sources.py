"""From where callbacks are taken, if that is limited."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from enum import Enum, auto
from ipaddress import ip_network
from typing import Final

import structlog

from app.kit.addresses import Address, resolve_by_system
from app.kit.client_address import Network, address_of, clients_of, is_within
from app.kit.log_limiter import LogLimiter

log = structlog.get_logger()

LOOKED_UP_EVERY: Final = timedelta(minutes=1)
_LOOK_UP_SECONDS: Final = 5.0
#: Names with many addresses give a few of them each time.
_REMEMBERED_SECONDS: Final = 3600.0
_HTTPS_PORT: Final = 443


class Verdict(Enum):
    """What becomes of a request because of where it comes from."""

    ALLOWED = auto()
    REFUSED = auto()
    #: The addresses of a name are not known yet.
    UNKNOWN = auto()


class CallbackSources:
    """
    Knows the addresses that callbacks are taken from.

    Args:
        allowed: Networks, as 192.0.2.0/24, and host names.
        trusted: Networks of proxies that are believed whom they name.
    """

    def __init__(
        self,
        allowed: Iterable[str],
        *,
        trusted: Iterable[str] = (),
        resolve: Callable[[str, int], Awaitable[Sequence[str]]] = resolve_by_system,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks: list[Network] = []
        #: The addresses of each name, and until when they count after another look-up.
        self._names: dict[str, dict[Address, float]] = {}
        for text in allowed:
            try:
                self._networks.append(ip_network(text))
            except ValueError:
                self._names[text] = {}
        self._trusted = [ip_network(text) for text in trusted]
        self._resolve = resolve
        self._clock = clock
        self._refusals = LogLimiter(clock=clock)

    @property
    def unknown(self) -> list[str]:
        """The host names of which no address is known."""
        return [name for name, addresses in self._names.items() if not addresses]

    @property
    def has_names(self) -> bool:
        """Whether `look_up` has anything to do."""
        return bool(self._names)

    async def look_up(self) -> None:
        """Look up all host names; what is known of one that cannot be looked up stays."""
        await asyncio.gather(*map(self._look_up, self._names))

    def verdict(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> Verdict:
        """Whether a request may pass that came from *peer* with *headers*; a refusal is logged."""
        headers = list(headers)
        clients = clients_of(peer, headers, self._trusted)
        if all(client is not None and self._is_allowed(client) for client in clients):
            return Verdict.ALLOWED
        if self.unknown:
            return Verdict.UNKNOWN
        if times := self._refusals.due():
            forwarded = any(name in (b"x-forwarded-for", b"forwarded") for name, _ in headers)
            log.warning(
                "a callback URL was called by an address that RECEIVER_CALLBACK_SOURCES does not "
                "have, and answered 403",
                addresses=sorted(map(str, clients)),
                times=times,
                hint="is it a proxy of yours? Then name it in RECEIVER_TRUSTED_PROXIES"
                if forwarded and clients == {address_of(peer)}
                else None,
            )
        return Verdict.REFUSED

    def _is_allowed(self, address: Address) -> bool:
        if is_within(address, self._networks):
            return True
        return any(address in found for found in self._names.values())

    async def _look_up(self, name: str) -> None:
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._resolve(name, _HTTPS_PORT)
        except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            log.warning("a source of callbacks cannot be looked up", name=name, error=repr(error))
            return
        now, until = self._clock(), self._clock() + _REMEMBERED_SECONDS
        kept = {address: end for address, end in self._names[name].items() if end > now}
        new = {address: until for text in found if (address := address_of(text))}
        self._names[name] = kept | new
