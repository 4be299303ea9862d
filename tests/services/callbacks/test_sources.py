from collections.abc import Sequence

from structlog.testing import capture_logs

from app.services.callbacks.sources import CallbackSources, Verdict


class Names:
    """A name service and a clock."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.now = 1000.0

    async def __call__(self, name: str, _port: int) -> Sequence[str]:
        if name not in self.addresses:
            raise OSError("no such name")
        return self.addresses[name]

    def sources(self, *allowed: str) -> CallbackSources:
        return CallbackSources(allowed, resolve=self, clock=lambda: self.now)


def test_networks_and_single_addresses_are_allowed_and_nothing_beside_them() -> None:
    sources = CallbackSources(("192.0.2.0/24", "2001:db8::1"))
    assert not sources.has_names
    for address in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1"):
        assert sources.verdict(address, []) is Verdict.ALLOWED
    for address in ("192.0.3.1", "2001:db8::2", "", "unknown"):
        assert sources.verdict(address, []) is Verdict.REFUSED


async def test_a_name_is_its_addresses_of_the_last_hour() -> None:
    names = Names(routee=["192.0.2.1"])
    sources = names.sources("routee")
    assert sources.verdict("192.0.2.1", []) is Verdict.UNKNOWN
    await sources.look_up()
    assert sources.verdict("192.0.2.1", []) is Verdict.ALLOWED
    assert sources.verdict("192.0.2.2", []) is Verdict.REFUSED
    names.addresses["routee"], names.now = ["192.0.2.2"], 1060.0
    await sources.look_up()
    for address in ("192.0.2.1", "192.0.2.2"):
        assert sources.verdict(address, []) is Verdict.ALLOWED
    names.now = 4700.0
    await sources.look_up()
    assert sources.verdict("192.0.2.1", []) is Verdict.REFUSED
    assert sources.verdict("192.0.2.2", []) is Verdict.ALLOWED


async def test_a_name_service_that_is_away_takes_nothing_back() -> None:
    names = Names(routee=["192.0.2.1"])
    sources = names.sources("routee", "10.0.0.0/8")
    await sources.look_up()
    names.addresses = {}
    with capture_logs() as logs:
        for names.now in (1060.0, 9000.0):
            await sources.look_up()
            assert sources.verdict("192.0.2.1", []) is Verdict.ALLOWED
    assert [entry["name"] for entry in logs] == ["routee", "routee"]


async def test_a_name_that_was_never_found_refuses_nobody_for_good() -> None:
    sources = Names().sources("routee", "10.0.0.0/8")
    await sources.look_up()
    assert sources.verdict("192.0.2.1", []) is Verdict.UNKNOWN
    assert sources.verdict("10.0.0.1", []) is Verdict.ALLOWED


def test_a_refusal_is_logged_once_a_minute_with_what_may_be_wrong() -> None:
    sources = CallbackSources(("192.0.2.0/24",))
    with capture_logs() as logs:
        for _ in range(3):
            sources.verdict("10.0.0.1", [(b"x-forwarded-for", b"192.0.2.1")])
    (entry,) = logs
    assert entry["addresses"] == ["10.0.0.1"]
    assert "RECEIVER_TRUSTED_PROXIES" in entry["hint"]
