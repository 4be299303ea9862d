import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from itertools import chain, repeat
from typing import Any

import pytest

from app.errors import Fault
from app.kit.addresses import Address, is_public
from app.routee.preflight import Prober, preflight
from app.routee.rules import Findings
from tests.routee.media_host import (
    Answer,
    Certificates,
    MediaHost,
    make_certificates,
    running_host,
)

LOOPBACK = "127.0.0.1"
PNG = {"Content-Length": "1000", "Content-Type": "image/png"}
PDF = {"Content-Length": "1000", "Content-Type": "application/pdf"}
MP4 = {"Content-Length": "1000", "Content-Type": "video/mp4"}
KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def host(certificates: Certificates) -> AsyncIterator[MediaHost]:
    async with running_host(certificates) as host:
        yield host


class Names:
    """A name service with configured answers that counts its calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.will_say([LOOPBACK])

    def will_say(self, *answers: Sequence[str]) -> None:
        """One after the other, and then the last one again and again."""
        self._answers = chain(answers, repeat(answers[-1]))

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(f"{host}:{port}")
        return next(self._answers)


def only_loopback(address: Address) -> bool:
    """127.0.0.1 plays the public internet; everything else is private."""
    return str(address) == LOOPBACK


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def prober(certificates: Certificates, host: MediaHost, names: Names) -> Prober:
    return Prober(
        ssl_context=certificates.client_context(),
        resolve=names,
        allows=only_loopback,
        ports=frozenset({host.port}),
    )


def image(url: object) -> dict[str, Any]:
    return {"body": {"imageURL": url}}


def video(url: str, thumbnail: str) -> dict[str, Any]:
    return {"body": {"viberVideo": {"videoUrl": url, "videoThumbnail": thumbnail}}}


def file(url: str) -> dict[str, Any]:
    return {"body": {"viberFile": {"fileUrl": url}}}


def only_fault(found: Findings) -> Fault:
    (fault,) = found.faults
    assert found.warnings == ()
    return fault


def codes(found: Findings) -> list[tuple[str, str]]:
    """The warnings of an examination without faults."""
    assert found.faults == ()
    return [(caution.code, caution.field) for caution in found.warnings]


async def test_media_without_a_defect_have_no_findings(host: MediaHost, prober: Prober) -> None:
    host.answers = {
        "/i": Answer(headers=PNG),
        "/f": Answer(headers=PDF),
        "/v": Answer(headers=MP4),
        "/t": Answer(headers=PNG),
    }
    urls = {key: host.url(key) for key in host.answers}
    everything = video(urls["/v"], urls["/t"])
    everything["body"] |= image(urls["/i"])["body"] | file(urls["/f"])["body"]
    assert await preflight(everything, prober=prober) == Findings()
    assert sorted(seen.target for seen in host.seen) == ["/f", "/i", "/t", "/v"]


async def test_the_head_request_names_the_host_and_not_the_address(
    host: MediaHost, prober: Prober
) -> None:
    host.answers["/a%20b?c=d"] = Answer(headers=PNG)
    await preflight(image(host.url("/a%20b?c=d")), prober=prober)
    (seen,) = host.seen
    assert (seen.method, seen.target, seen.server_name) == ("HEAD", "/a%20b?c=d", "media.test")
    assert seen.headers["host"] == f"media.test:{host.port}"
    assert seen.headers["accept-encoding"] == "identity"


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    host: MediaHost, prober: Prober, names: Names
) -> None:
    names.will_say([LOOPBACK], ["10.0.0.1"])
    host.answers["/i"] = Answer(headers=PNG)
    assert await preflight(image(host.url("/i")), prober=prober) == Findings()
    assert names.asked == [f"media.test:{host.port}"]
    assert [seen.address for seen in host.seen] == [LOOPBACK]


@pytest.mark.parametrize("found", [["10.0.0.1"], [LOOPBACK, "10.0.0.1"], ["::1", LOOPBACK]])
async def test_one_private_address_makes_a_name_unusable(
    host: MediaHost, prober: Prober, names: Names, found: list[str]
) -> None:
    names.will_say(found)
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert fault.field == "body.imageURL"
    assert "not on the public internet" in fault.message
    assert not any(address in fault.message for address in found)
    assert host.seen == []


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127\u30020\u30020\u30021",
        "0",
        "0.0.0.0",  # noqa: S104 (called, not bound)
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "167772161",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
    ],
)
async def test_no_spelling_of_a_private_address_is_called(name: str) -> None:
    prober = Prober(ssl_context=ssl.create_default_context())
    fault = only_fault(await preflight(image(f"https://{name}/x.png"), prober=prober))
    assert "public internet" in fault.message or "cannot be found" in fault.message


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "193.0.6.139", "2a00:1450:4017:80c::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    """
    0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255 :: ::1 ::8.8.8.8 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:224.0.0.1
    ::ffff:0:8.8.8.8 64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b:1::808:808 100::1 2001::1
    2001:0:808:808::1 2001:db8::1 2001:20::1 2002:808:808:: 2002:a00:1:: 3fff::1 4000::1 5f00::1
    fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2a00::1%eth0 fec0::1 ff02::1 ff0e::1
    """.split(),  # noqa: SIM905 (a table)
)
def test_all_other_addresses_are_not(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://media.test/x.png", "https"),
        ("ftp://media.test/x.png", "https"),
        ("file:///etc/passwd", "https"),
        ("media.test/x.png", "https"),
        ("", "https"),
        ("https:///x.png", "host"),
        ("https://user:secret@media.test/x.png", "user name"),
        ("https://user@media.test/x.png", "user name"),
        ("https://@media.test:25/x.png", "443"),
        ("https://media.test:8443/x.png", "443"),
        ("https://media.test:0/x.png", "443"),
        ("https://media.test:99999/x.png", "443"),
        ("https://media.test:port/x.png", "read"),
        ("https://[::1/x.png", "read"),
        ("https://0177.0.0.1/x.png", "read"),
        ("https://xn--/x.png", "read"),
        ("https://media.test/\x00", "read"),
        ("https://" + "a" * 64 + ".test/x.png", "cannot be found"),
        ("https://a..test/x.png", "cannot be found"),
    ],
)
async def test_urls_of_another_form_are_not_called(url: str, word: str) -> None:
    prober = Prober(ssl_context=ssl.create_default_context())
    fault = only_fault(await preflight(image(url), prober=prober))
    assert word in fault.message
    assert "secret" not in fault.message


async def test_a_port_other_than_443_is_not_called_unless_it_was_allowed(
    host: MediaHost, certificates: Certificates, names: Names
) -> None:
    prober = Prober(ssl_context=certificates.client_context(), resolve=names, allows=only_loopback)
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "443" in fault.message
    assert names.asked == []


async def test_an_unknown_host_name_is_a_fault(prober: Prober, names: Names) -> None:
    names.will_say([])
    url = f"https://nowhere.test:{next(iter(prober.ports))}/"
    fault = only_fault(await preflight(image(url), prober=prober))
    assert "cannot be found" in fault.message


async def test_a_certificate_of_another_name_is_a_fault(host: MediaHost, prober: Prober) -> None:
    url = host.url("/i", name="unlisted.test")
    fault = only_fault(await preflight(image(url), prober=prober))
    assert "certificate" in fault.message
    assert host.seen == []


async def test_a_certificate_of_an_unknown_authority_is_a_fault(
    host: MediaHost, names: Names
) -> None:
    prober = Prober(
        ssl_context=ssl.create_default_context(),
        resolve=names,
        allows=only_loopback,
        ports=frozenset({host.port}),
    )
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "certificate" in fault.message


async def test_proxies_of_the_environment_are_not_used(
    host: MediaHost, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    host.answers["/i"] = Answer(headers=PNG)
    assert await preflight(image(host.url("/i")), prober=prober) == Findings()


async def test_a_chain_of_five_redirects_is_followed(
    host: MediaHost, prober: Prober, names: Names
) -> None:
    host.redirects("/0", "/1")
    host.redirects("/1", host.url("/2", name="other.test"))
    host.redirects("/2", "3?x=y")
    host.redirects("/3?x=y", f"//media.test:{host.port}/4")
    host.redirects("/4", "/end#part")
    host.answers["/end"] = Answer(headers=PNG)
    assert await preflight(image(host.url("/0")), prober=prober) == Findings()
    assert [seen.target for seen in host.seen] == ["/0", "/1", "/2", "/3?x=y", "/4", "/end"]
    assert host.seen[2].server_name == "other.test"
    assert len(names.asked) == 6


async def test_a_redirect_loop_ends(host: MediaHost, prober: Prober) -> None:
    host.redirects("/i", "/i")
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "more than 5" in fault.message
    assert len(host.seen) == 6


async def test_a_redirect_to_a_private_address_is_not_followed(
    host: MediaHost, prober: Prober, names: Names
) -> None:
    names.will_say([LOOPBACK], ["10.0.0.1"])
    host.redirects("/i", host.url("/secret", name="other.test"))
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "not on the public internet" in fault.message
    assert [seen.target for seen in host.seen] == ["/i"]


@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("http://media.test/i", "https"),
        ("file:///etc/passwd", "https"),
        ("https://user@media.test/i", "user name"),
        ("https://media.test:22/i", "443"),
        ("https://[::1/", "read"),
    ],
)
async def test_a_redirect_must_keep_to_the_same_rules(
    host: MediaHost, prober: Prober, location: str, word: str
) -> None:
    host.redirects("/i", location)
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert fault.message.startswith("redirects to")
    assert word in fault.message
    assert len(host.seen) == 1


async def test_a_dead_address_does_not_hide_a_living_one(
    host: MediaHost, certificates: Certificates, names: Names
) -> None:
    host.answers["/i"] = Answer(headers=PNG)
    names.will_say(["127.0.0.2", LOOPBACK])  # nothing listens at the first
    prober = Prober(
        ssl_context=certificates.client_context(),
        resolve=names,
        allows=lambda address: address.is_loopback,
        ports=frozenset({host.port}),
    )
    assert await preflight(image(host.url("/i")), prober=prober) == Findings()


async def test_a_host_without_a_server_is_a_fault(certificates: Certificates, names: Names) -> None:
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        port = closed.getsockname()[1]
        prober = Prober(
            ssl_context=certificates.client_context(),
            resolve=names,
            allows=only_loopback,
            ports=frozenset({port}),
        )
        found = await preflight(image(f"https://media.test:{port}/i"), prober=prober)
    assert "could not be reached" in only_fault(found).message


async def test_a_slow_host_is_given_up_in_time(
    host: MediaHost, certificates: Certificates, names: Names
) -> None:
    host.answers["/i"] = Answer(headers=PNG, after_seconds=30)
    prober = impatient(host, certificates, names)
    async with asyncio.timeout(3):
        fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "within 0.3 seconds" in fault.message


async def test_the_time_limit_is_for_all_redirects_together(
    host: MediaHost, certificates: Certificates, names: Names
) -> None:
    host.answers["/i"] = Answer(302, {"Location": "/i"}, after_seconds=0.15)
    fault = only_fault(
        await preflight(image(host.url("/i")), prober=impatient(host, certificates, names))
    )
    assert "within 0.3 seconds" in fault.message
    assert len(host.seen) < 6


async def test_a_slow_name_service_is_within_the_time_limit_too(
    host: MediaHost, certificates: Certificates
) -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        return await asyncio.Future()

    prober = impatient(host, certificates, never)
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "within 0.3 seconds" in fault.message


def impatient(host: MediaHost, certificates: Certificates, resolve: Any) -> Prober:  # noqa: ANN401
    return Prober(
        ssl_context=certificates.client_context(),
        resolve=resolve,
        allows=only_loopback,
        ports=frozenset({host.port}),
        time_limit_seconds=0.3,
    )


async def test_media_are_checked_concurrently(host: MediaHost, prober: Prober) -> None:
    host.answers["/v"] = Answer(headers=MP4, after_seconds=0.3)
    host.answers["/t"] = Answer(headers=PNG, after_seconds=0.3)
    started = asyncio.get_running_loop().time()
    await preflight(video(host.url("/v"), host.url("/t")), prober=prober)
    assert asyncio.get_running_loop().time() - started < 0.55


@pytest.mark.parametrize("status", [405, 403, 501, 404, 500, 302])
async def test_a_video_whose_host_does_not_answer_head_is_a_fault(
    host: MediaHost, prober: Prober, status: int
) -> None:
    host.answers = {"/v": Answer(status), "/t": Answer(headers=PNG)}
    found = await preflight(video(host.url("/v"), host.url("/t")), prober=prober)
    fault = only_fault(found)
    assert fault.field == "body.viberVideo.videoUrl"
    assert str(status) in fault.message


@pytest.mark.parametrize("status", [405, 403, 501, 500])
async def test_an_image_whose_host_does_not_answer_head_is_a_warning(
    host: MediaHost, prober: Prober, status: int
) -> None:
    host.answers["/i"] = Answer(status)
    found = await preflight(image(host.url("/i")), prober=prober)
    assert codes(found) == [("media-unchecked", "body.imageURL")]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_missing_image_is_a_fault(host: MediaHost, prober: Prober, status: int) -> None:
    host.answers["/i"] = Answer(status)
    found = await preflight(image(host.url("/i")), prober=prober)
    assert only_fault(found).field == "body.imageURL"


async def test_a_video_without_a_content_length_is_a_fault(host: MediaHost, prober: Prober) -> None:
    host.answers = {"/v": Answer(headers={"Content-Type": "video/mp4"}), "/t": Answer(headers=PNG)}
    found = await preflight(video(host.url("/v"), host.url("/t")), prober=prober)
    assert "Content-Length" in only_fault(found).message


async def test_a_file_without_a_content_length_is_a_warning(
    host: MediaHost, prober: Prober
) -> None:
    host.answers["/f"] = Answer(headers={"Content-Type": "application/pdf"})
    found = await preflight(file(host.url("/f")), prober=prober)
    assert codes(found) == [("media-unchecked", "body.viberFile.fileUrl")]


@pytest.mark.parametrize("length", ["-1", "12 kB", "1" * 30])
async def test_an_invalid_content_length_counts_as_missing(
    host: MediaHost, prober: Prober, length: str
) -> None:
    host.answers["/i"] = Answer(headers=PNG | {"Content-Length": length})
    found = await preflight(image(host.url("/i")), prober=prober)
    assert len(found.faults) + len(found.warnings) == 1


async def test_an_endless_answer_is_not_read(host: MediaHost, prober: Prober) -> None:
    host.answers["/i"] = Answer(headers=PNG | {"X": "y" * 500_000})
    fault = only_fault(await preflight(image(host.url("/i")), prober=prober))
    assert "could not be reached" in fault.message


async def test_an_empty_image_is_a_fault(host: MediaHost, prober: Prober) -> None:
    host.answers["/i"] = Answer(headers=PNG | {"Content-Length": "0"})
    assert "empty" in only_fault(await preflight(image(host.url("/i")), prober=prober)).message


@pytest.mark.parametrize(
    ("length", "is_fine"), [(600 * KILOBYTE, True), (600 * KILOBYTE + 1, False)]
)
async def test_a_file_over_600_kilobytes_carries_routees_code(
    host: MediaHost, prober: Prober, length: int, *, is_fine: bool
) -> None:
    host.answers["/f"] = Answer(headers=PDF | {"Content-Length": str(length)})
    found = await preflight(file(host.url("/f")), prober=prober)
    refused = [(fault.code, fault.error_code) for fault in found.faults]
    assert refused == ([] if is_fine else [("400019002", "016")])


@pytest.mark.parametrize(
    ("length", "is_fine"), [(200 * MEGABYTE, True), (200 * MEGABYTE + 1, False)]
)
async def test_a_video_over_200_megabytes_carries_routees_code(
    host: MediaHost, prober: Prober, length: int, *, is_fine: bool
) -> None:
    host.answers = {
        "/v": Answer(headers=MP4 | {"Content-Length": str(length)}),
        "/t": Answer(headers=PNG),
    }
    found = await preflight(video(host.url("/v"), host.url("/t")), prober=prober)
    refused = [(fault.code, fault.error_code) for fault in found.faults]
    assert refused == ([] if is_fine else [("400000000", None)])


@pytest.mark.parametrize(
    ("length", "is_fine"), [(400 * KILOBYTE, True), (400 * KILOBYTE + 1, False)]
)
async def test_an_image_over_400_kilobytes_is_a_warning(
    host: MediaHost, prober: Prober, length: int, *, is_fine: bool
) -> None:
    host.answers["/i"] = Answer(headers=PNG | {"Content-Length": str(length)})
    found = await preflight(image(host.url("/i")), prober=prober)
    assert codes(found) == ([] if is_fine else [("media-large", "body.imageURL")])


@pytest.mark.parametrize("media_type", ["text/html", "TEXT/HTML; charset=utf-8", "video/mp4"])
async def test_an_image_that_is_served_as_something_else_is_a_warning(
    host: MediaHost, prober: Prober, media_type: str
) -> None:
    host.answers["/i"] = Answer(headers=PNG | {"Content-Type": media_type})
    found = await preflight(image(host.url("/i")), prober=prober)
    assert codes(found) == [("media-type", "body.imageURL")]


@pytest.mark.parametrize(
    ("media_type", "is_fine"),
    [("application/octet-stream", True), ("text/csv", True), ("text/html", False)],
)
async def test_a_file_may_be_served_as_almost_anything(
    host: MediaHost, prober: Prober, media_type: str, *, is_fine: bool
) -> None:
    host.answers["/f"] = Answer(headers=PDF | {"Content-Type": media_type})
    found = await preflight(file(host.url("/f")), prober=prober)
    assert codes(found) == ([] if is_fine else [("media-type", "body.viberFile.fileUrl")])


@pytest.mark.parametrize(
    "request_", [None, 5, [], {}, {"body": 5}, image(5), image(None), {"body": {"viberFile": []}}]
)
async def test_a_request_without_media_calls_no_host(
    request_: object, host: MediaHost, prober: Prober
) -> None:
    assert await preflight(request_, prober=prober) == Findings()
    assert host.seen == []
