"""Signing in, staying signed in, and all the ways of not being."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.domain.api_key import Scope
from app.services.keyring import CACHED_SECONDS
from tests.api.conftest import Loop, Service, running
from tests.web.conftest import Browser, words_of

_Browsers = Callable[..., Browser]
_PROXY = {"trusted_proxies": ("127.0.0.1",), "ui_trusted_header": "X-Person"}


def test_no_page_is_shown_without_a_sign_in(browser: _Browsers) -> None:
    for path in ("/ui/", "/ui/campaigns", "/ui/nothing", "/ui/messages/m-1", "/ui/statuses"):
        answer = browser().get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/ui/sign-in"), path


def test_a_sign_in_leads_to_the_page_that_was_asked_for(browser: _Browsers) -> None:
    visitor = browser()
    sign_in = visitor.get("/ui/shortcuts?a=b%26c").headers["location"]
    assert sign_in == "/ui/sign-in?next=%2Fui%2Fshortcuts%3Fa%3Db%2526c"
    assert 'value="/ui/shortcuts?a=b%26c"' in visitor.page(sign_in)
    _, key = visitor.service.add_key(Scope.READ)
    answer = visitor.client.post("/ui/sign-in", data={"key": key, "next": "/ui/shortcuts?a=b%26c"})
    assert answer.headers["location"] == "/ui/shortcuts?a=b%26c"


@pytest.mark.parametrize(
    "beyond",
    ["https://evil.example/", "//evil.example/ui/", "/v1/messages", "/ui/\r\nSet-Cookie: a=b",
     "/ui/sign-out", "/ui/\\evil", "x", "/ui/../v1/messages", "/ui/./%2e%2E/x"],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_else(browser: _Browsers, beyond: str) -> None:
    visitor = browser()
    _, key = visitor.service.add_key(Scope.READ)
    answer = visitor.client.post("/ui/sign-in", data={"key": key, "next": beyond})
    assert answer.headers["location"] == "/ui/"


def test_the_cookie_over_plain_http_at_this_machine_is_kept_from_scripts_and_other_sites(
    browser: _Browsers,
) -> None:
    visitor = browser()
    _, key = visitor.service.add_key(Scope.READ)
    cookie = visitor.client.post("/ui/sign-in", data={"key": key}).headers["set-cookie"]
    assert cookie.startswith("routee-receiver=1.")
    rest = cookie.partition(";")[2].lower()
    for attribute in ("httponly", "samesite=strict", "path=/", "max-age=43200"):
        assert attribute in rest
    assert "secure" not in rest
    assert key not in cookie


def test_the_cookie_of_any_other_host_is_one_for_tls_alone(browser: _Browsers) -> None:
    visitor = browser()
    _, key = visitor.service.add_key(Scope.READ)
    answer = visitor.client.post(
        "/ui/sign-in", data={"key": key}, headers={"Host": "status.example"}
    )
    assert answer.headers["set-cookie"].startswith("__Host-routee-receiver=1.")
    assert "Secure" in answer.headers["set-cookie"]
    assert "domain" not in answer.headers["set-cookie"].lower()
    # Whether the browser keeps it, only its next request shows.
    assert answer.headers["location"] == "/ui/sign-in?next=%2Fui%2F&kept=%3F"
    assert "did not keep the session" in browser().page("/ui/sign-in?next=%2Fui%2F&kept=%3F")
    value = answer.headers["set-cookie"].split(";")[0]
    headers = {"Host": "status.example", "Cookie": value}
    kept = httpx.get(f"{visitor.service.url}/ui/sign-in?next=%2Fui%2F&kept=%3F", headers=headers)
    assert kept.headers["location"] == "/ui/"


@pytest.mark.parametrize("host", ["[", "]", "a:b:c", "[::1", "\xff", ""])
def test_a_host_that_is_none_is_no_failure_of_ours(browser: _Browsers, host: str) -> None:
    answer = browser().get("/ui/sign-in", headers={"Host": host.encode("latin-1")})
    assert answer.status_code in {200, 400}


def test_a_link_on_another_site_leads_a_signed_in_person_to_the_page(browser: _Browsers) -> None:
    visitor = browser()
    for site in ("cross-site", "same-site"):  # the browser keeps the cookie back
        answer = visitor.get("/ui/shortcuts?a=b", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200
        assert '<meta http-equiv="refresh" content="0">' in answer.text
        assert 'href="/ui/shortcuts?a=b"' in answer.text
    # The refresh is one of our page, with the cookie if there is one.
    assert visitor.get("/ui/shortcuts").status_code == 303


@pytest.mark.parametrize("change", ["", "x", "1.2.3.4", "%00"])
def test_a_changed_cookie_is_worth_nothing(browser: _Browsers, change: str) -> None:
    visitor = browser(Scope.READ)
    value = visitor.client.cookies["routee-receiver"]
    forged = change or value[:-1] + ("0" if value[-1] != "0" else "1")
    header = {"Cookie": f"routee-receiver={forged}"}
    assert httpx.get(f"{visitor.service.url}/ui/shortcuts", headers=header).status_code == 303


def test_a_key_without_read_signs_nobody_in(browser: _Browsers) -> None:
    visitor = browser()
    _, key = visitor.service.add_key(Scope.PII)
    answer = visitor.client.post("/ui/sign-in", data={"key": key})
    assert answer.status_code == 403
    assert "lacks the scope read" in words_of(answer.text).replace("`", "")


def test_a_revoked_key_ends_its_sessions_within_seconds(
    loop: Loop, service: Service, browser: _Browsers
) -> None:
    visitor = browser()
    key_id, key = service.add_key(Scope.READ)
    visitor.client.post("/ui/sign-in", data={"key": key})
    assert visitor.get("/ui/shortcuts").status_code == 200
    service.sql("UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    with running(loop, service.database_url) as fresh:  # which has read no keys before
        header = {"Cookie": f"routee-receiver={visitor.client.cookies['routee-receiver']}"}
        assert httpx.get(f"{fresh.url}/ui/shortcuts", headers=header).status_code == 303
    assert CACHED_SECONDS <= 5


def test_signing_out_ends_the_session_in_this_browser(browser: _Browsers) -> None:
    visitor = browser(Scope.READ)
    assert visitor.post("/ui/sign-out").headers["location"] == "/ui/sign-in"
    assert visitor.get("/ui/shortcuts").status_code == 303


def test_a_form_without_the_token_of_the_session_does_nothing(browser: _Browsers) -> None:
    visitor, other = browser(Scope.READ), browser(Scope.READ)
    for token in ("", "x", other.token(), "\U0001f600"):
        answer = visitor.client.post("/ui/sign-out", data={"token": token})
        assert answer.status_code == 403
        assert "Nothing was done" in answer.text
    assert visitor.get("/ui/shortcuts").status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_a_form_of_another_site_does_nothing(browser: _Browsers, site: str) -> None:
    visitor = browser(Scope.READ)
    headers = {"Sec-Fetch-Site": site}
    answer = visitor.client.post("/ui/sign-out", data={"token": visitor.token()}, headers=headers)
    assert answer.status_code == 403


def test_an_older_browser_is_known_by_its_origin(service: Service) -> None:
    _, key = service.add_key(Scope.READ)
    own, foreign = service.url, "https://evil.example"
    for origin, status in ((own, 303), (foreign, 403), ("null", 403)):
        answer = httpx.post(
            f"{service.url}/ui/sign-in", data={"key": key}, headers={"Origin": origin}
        )
        assert answer.status_code == status
    assert httpx.post(f"{service.url}/ui/sign-in", data={"key": key}).status_code == 403


def test_failed_sign_ins_of_one_address_are_limited(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url, trusted_proxies=("127.0.0.1",)) as own:
        client = httpx.Client(base_url=own.url, headers={"Sec-Fetch-Site": "same-origin"})
        _, key = own.add_key(Scope.READ)
        guesser = {"X-Forwarded-For": "192.0.2.1"}
        for _ in range(5):
            answer = client.post("/ui/sign-in", data={"key": "rr_guess"}, headers=guesser)
            assert answer.status_code == 403
            assert "unknown, revoked or expired" in answer.text
        answer = client.post("/ui/sign-in", data={"key": key}, headers=guesser)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        other = {"X-Forwarded-For": "192.0.2.2"}
        assert client.post("/ui/sign-in", data={"key": key}, headers=other).status_code == 303
        client.close()


def test_sign_ins_that_are_sent_at_once_are_limited_as_well(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url) as own, ThreadPoolExecutor(20) as senders:
        client = httpx.Client(base_url=own.url, headers={"Sec-Fetch-Site": "same-origin"})
        answers = senders.map(
            lambda at: client.post("/ui/sign-in", data={"key": f"rr_guess_{at}"}).status_code,
            range(20),
        )
        assert sorted(answers) == [403] * 5 + [429] * 15
        client.close()


def test_good_sign_ins_are_not_limited(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url) as own:
        _, key = own.add_key(Scope.READ)
        for _ in range(8):
            answer = httpx.post(
                f"{own.url}/ui/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "none"}
            )
            assert answer.status_code == 303


def test_a_trusted_proxy_names_who_is_signed_in(loop: Loop, service: Service) -> None:
    with running(loop, service.database_url, **_PROXY) as own:
        answer = httpx.get(f"{own.url}/ui/shortcuts", headers={"X-Person": "eleni@example.com"})
        assert "Signed in as eleni@example.com ( read )" in words_of(answer.text).replace(
            "(read)", "( read )"
        )
        assert "Sign out" not in answer.text
        assert httpx.get(f"{own.url}/ui/shortcuts").status_code == 303
        twice = [("X-Person", "eleni"), ("X-Person", "mallory")]
        assert httpx.get(f"{own.url}/ui/shortcuts", headers=twice).status_code == 303


def test_nobody_else_names_who_is_signed_in(loop: Loop, service: Service) -> None:
    settings = {**_PROXY, "trusted_proxies": ("192.0.2.0/24",)}
    with running(loop, service.database_url, **settings) as own:
        answer = httpx.get(f"{own.url}/ui/shortcuts", headers={"X-Person": "mallory"})
        assert answer.status_code == 303
