"""What all pages share: where they are served, their headers, fragments, and errors."""

from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest

from app.domain.api_key import Scope
from app.web.application import POLICY
from app.web.forms import MAX_FORM_BYTES
from app.web.proxies import Proxies
from app.web.rendering import age, duration, money, share
from tests.api.conftest import Loop, Service, running
from tests.web.conftest import Browser, words_of

_Browsers = Callable[..., Browser]


def test_a_browser_is_led_from_the_root_to_the_dashboard(browser: _Browsers) -> None:
    answer = browser().get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/ui/")
    assert browser().get("/ui").headers["location"] == "/ui/"


def test_a_program_is_not(service: Service) -> None:
    answer = httpx.get(service.url)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_surface_for_callbacks_has_no_pages(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url, surface="callbacks") as own:
        assert httpx.get(f"{own.url}/ui/sign-in").status_code == 404
        assert httpx.get(own.url, headers={"Accept": "text/html"}).status_code == 404


def test_pages_are_served_where_the_api_is_and_not_at_other_ports(
    loop: Loop, service: Service
) -> None:
    with running(loop, service.database_url, api_port=9) as own:
        assert httpx.get(f"{own.url}/ui/sign-in").status_code == 404
    with running(loop, service.database_url, surface="api") as own:
        assert httpx.get(f"{own.url}/ui/sign-in").status_code == 200


@pytest.mark.parametrize("path", ["/ui/sign-in", "/ui/shortcuts", "/ui/nothing", "/ui/static/x.js"])
def test_every_answer_has_the_headers_of_safety(browser: _Browsers, path: str) -> None:
    headers = browser(Scope.READ).get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_files_are_kept_for_ever_under_names_that_change_with_them(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    page = visitor.page("/ui/shortcuts")
    paths = [part.split('"')[0] for part in page.split('"/ui/static/')[1:]]
    assert {path.rpartition(".")[2] for path in paths} == {"css", "js", "svg"}
    for path in paths:
        answer = httpx.get(f"{visitor.service.url}/ui/static/{path}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    script = httpx.get(
        f"{visitor.service.url}/ui/static/{next(path for path in paths if path.endswith('js'))}"
    ).text
    vendored = script.split('import "./')[1].split('"')[0]
    assert httpx.get(f"{visitor.service.url}/ui/static/{vendored}").status_code == 200


def test_below_a_prefix_of_a_trusted_proxy_every_address_has_it(
    loop: Loop, service: Service
) -> None:
    with running(loop, service.database_url, trusted_proxies=("127.0.0.1",)) as own:
        headers = {"X-Forwarded-Prefix": "/x", "Sec-Fetch-Site": "same-origin"}
        client = httpx.Client(base_url=own.url, headers=headers)
        _, key = own.add_key(Scope.READ)
        root = client.get("/", headers={"Accept": "text/html"})
        assert root.headers["location"] == "/x/ui/"
        assert client.get("/ui/").headers["location"] == "/x/ui/sign-in"
        answer = client.post("/ui/sign-in", data={"key": key, "next": "/ui/shortcuts"})
        assert answer.headers["location"] == "/x/ui/shortcuts"
        page = client.get("/ui/shortcuts").text
        addresses = [part.split('"')[0] for part in page.replace("src=", "href=").replace(
            "action=", "href=").split('href="')[1:]]  # fmt: skip
        assert addresses
        assert all(address.startswith(("/x/ui/", "#")) for address in addresses), addresses
        client.close()


@pytest.mark.parametrize(
    "prefix",
    [
        "//evil.example",
        "/x?y",
        "/x\\y",
        "javascript:",
        "/x" * 90,
        "x",
        "/%2f",
        "/x, /y",
        "/..",
        "/x/../y",
    ],
)
def test_a_prefix_that_is_none_is_ignored(prefix: str) -> None:
    headers = [(b"x-forwarded-prefix", prefix.encode())]
    scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http"}
    assert Proxies(["127.0.0.1"]).origin_of(scope).prefix == ""


@pytest.mark.parametrize("path", ["/ui/", "/ui/messages", "/ui/sign-in", "/ui/nothing"])
def test_an_address_that_is_longer_than_any_is_refused_before_it_is_read(
    browser: _Browsers, path: str
) -> None:
    many = "&".join(f"{at:x}=1" for at in range(5000))
    for visitor in (browser(), browser(Scope.READ)):
        for query in (many, f"x={'y' * 40_000}"):
            answer = visitor.get(f"{path}?{query}")
            assert answer.status_code == 414
            assert len(answer.text) < 10_000


def test_a_prefix_of_a_stranger_is_ignored(browser: _Browsers) -> None:
    answer = browser().get("/ui", headers={"X-Forwarded-Prefix": "/x"})
    assert answer.headers["location"] == "/ui/"


def test_the_live_region_is_sent_alone_and_only_if_it_has_changed(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    fragment = visitor.fragment("/ui/shortcuts")
    assert fragment.status_code == 200
    assert "<header" not in fragment.text
    assert 'id="live"' in fragment.text
    assert "dur=" in fragment.headers["server-timing"]
    again = visitor.fragment("/ui/shortcuts", **{"If-None-Match": fragment.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_fragment_for_nobody_is_no_page_to_sign_in(browser: _Browsers) -> None:
    assert browser().fragment("/ui/shortcuts").status_code == 401


def test_a_page_that_is_not_there_says_so(browser: _Browsers) -> None:
    answer = browser(Scope.READ).get("/ui/nothing/at/all")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "X-Request-Id" in answer.headers
    assert answer.headers["x-request-id"] in answer.text


def test_a_page_called_by_another_method_says_so(browser: _Browsers) -> None:
    answer = browser(Scope.READ).client.put("/ui/shortcuts")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert browser(Scope.READ).client.head("/ui/shortcuts").status_code == 200


def test_a_form_that_is_too_large_is_refused(browser: _Browsers) -> None:
    answer = browser().client.post("/ui/sign-in", data={"key": "x" * MAX_FORM_BYTES})
    assert answer.status_code == 413
    assert "at most 16384 bytes" in answer.text


@pytest.mark.parametrize("body", [b"\xff\xfe", b"=&=&=", b"key", b"{}", b"&" * 2000, b"key=%ff"])
def test_a_body_that_is_no_form_is_no_failure_of_ours(browser: _Browsers, body: bytes) -> None:
    answer = browser().client.post("/ui/sign-in", content=body)
    assert answer.status_code in {403, 422}


def test_no_page_fails_over_ids_that_cannot_be(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    for path in ("%00", "%ff", "a" * 3000, "..%2f..", "%E2%80%AE", "<script>"):
        answer = visitor.get(f"/ui/{path}")
        assert answer.status_code == 404
        assert "<script>" not in answer.text


def test_while_the_database_is_away_a_page_says_what_becomes_of_callbacks(
    loop: Loop, service: Service
) -> None:
    away = "postgresql://nobody@127.0.0.1:9/nothing"
    with running(loop, service.database_url) as whole:
        value = Browser(whole).sign_in(Scope.READ).client.cookies["routee-receiver"]
    with running(loop, away) as own:
        answer = httpx.get(
            f"{own.url}/ui/shortcuts", headers={"Cookie": f"routee-receiver={value}"}, timeout=30
        )
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert "answered 503, and Routee sends them again" in words_of(answer.text)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (4, "4 s"), (100, "2 min"), (7200, "2 h"), (14 * 86400, "14 days"), (-5, "0 s")],
)
def test_ages_are_said_in_words(seconds: float, words: str) -> None:
    assert age(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0.4 s"), (0.0123, "0.012 s"), (3.25, "3.2 s"), (75, "75 s")]
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [("1230.0000", "1,230.00"), ("0.0123", "0.0123"), ("0", "0.00"), ("5", "5.00"), ("2.5", "2.50"),
     ("1E+4", "10,000.00"), ("-3.10", "-3.10")],
)  # fmt: skip
def test_money_is_said_with_two_decimals_or_more(amount: str, words: str) -> None:
    assert money(Decimal(amount)) == words


def test_a_share_of_nothing_is_none() -> None:
    assert (share(1, 100_000), share(99_999, 100_000)) == ("< 0.1 %", "> 99.9 %")
    assert (share(0, 0), share(1, 3), share(999, 1000), share(1, 1)) == (
        "",
        "33 %",
        "99.9 %",
        "100 %",
    )
