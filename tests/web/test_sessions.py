"""Cookies of sessions, failures to sign in, and what proxies say."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from app.web.failures import FORGIVEN, WITHIN_SECONDS, SignInFailures
from app.web.proxies import Origin, Proxies
from app.web.sessions import SESSION_SECONDS, Sessions

OLD, NEW = "an-old-secret-" * 3, "a-new-secret-" * 3


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_says_whose_it_is() -> None:
    key_id = uuid4()
    sessions = Sessions([NEW])
    session = sessions.find(sessions.begin(key_id))
    assert session is not None
    assert session.key_id == key_id


def test_a_session_ends_after_twelve_hours() -> None:
    clock = Clock()
    sessions = Sessions([NEW], clock=clock)
    value = sessions.begin(uuid4())
    clock.now += SESSION_SECONDS - 1
    assert sessions.find(value) is not None
    clock.now += 1
    assert sessions.find(value) is None


def test_a_session_of_the_future_is_none() -> None:
    clock = Clock()
    value = Sessions([NEW], clock=clock).begin(uuid4())
    clock.now -= 3600
    assert Sessions([NEW], clock=clock).find(value) is None


def test_a_session_outlives_the_secret_that_signed_it_while_that_still_verifies() -> None:
    value = Sessions([OLD]).begin(uuid4())
    assert Sessions([NEW, OLD]).find(value) is not None
    assert Sessions([NEW]).find(value) is None


def test_a_token_is_of_one_session() -> None:
    sessions = Sessions([NEW, OLD])
    assert sessions.is_token(sessions.token("a"), "a")
    assert sessions.is_token(Sessions([OLD]).token("a"), "a")
    assert not sessions.is_token(sessions.token("a"), "b")


@given(st.text())
def test_no_text_that_was_not_signed_is_a_session(text: str) -> None:
    sessions = Sessions([NEW])
    assert sessions.find(text) is None
    assert not sessions.is_token(text, "a")


def test_five_failures_in_a_minute_are_forgiven_and_then_one_for_each_that_is_a_minute_old() -> (
    None
):
    clock = Clock()
    failures = SignInFailures(clock=clock)
    for _ in range(FORGIVEN):
        assert failures.seconds_to_wait("a") == 0
        failures.note("a")
        clock.now += 1
    assert failures.seconds_to_wait("a") == WITHIN_SECONDS - FORGIVEN
    assert failures.seconds_to_wait("b") == 0
    clock.now += WITHIN_SECONDS - FORGIVEN
    assert failures.seconds_to_wait("a") == 0


def _scope(peer: str, *headers: tuple[str, str]) -> Scope:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "client": (peer, 1), "scheme": "http", "headers": raw}


def test_a_trusted_proxy_is_believed() -> None:
    proxies = Proxies(["10.0.0.0/8"], header="X-Person")
    scope = _scope(
        "10.0.0.7",
        ("X-Forwarded-For", "192.0.2.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/x/"),
        ("X-Person", " eleni "),
    )
    assert proxies.origin_of(scope) == Origin(
        "192.0.2.9", is_secure=True, prefix="/x", person="eleni"
    )


def test_nobody_else_is() -> None:
    proxies = Proxies(["10.0.0.0/8"], header="X-Person")
    scope = _scope(
        "192.0.2.1",
        ("X-Forwarded-For", "192.0.2.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/x"),
        ("X-Person", "eleni"),
    )
    assert proxies.origin_of(scope) == Origin("192.0.2.1", is_secure=False, prefix="", person=None)


def test_addresses_of_ipv6_count_by_their_network() -> None:
    found = {Proxies().origin_of(_scope(f"2001:db8::{end}")).address for end in range(1, 9)}
    assert found == {"2001:db8::/64"}


@pytest.mark.parametrize("names", [[], [""], ["  "], ["a", "b"], ["a" * 201]])
def test_a_header_without_one_name_signs_nobody_in(names: list[str]) -> None:
    proxies = Proxies(["10.0.0.7"], header="X-Person")
    scope = _scope("10.0.0.7", *(("X-Person", name) for name in names))
    assert proxies.origin_of(scope).person is None


@pytest.mark.parametrize("name", ["Ελένη", "Zoë", "eleni"])
def test_a_name_in_utf8_is_read_as_such(name: str) -> None:
    raw = [(b"x-person", name.encode())]
    scope = {"type": "http", "client": ("10.0.0.7", 1), "scheme": "http", "headers": raw}
    assert Proxies(["10.0.0.7"], header="X-Person").origin_of(scope).person == name


def test_of_several_protocols_the_last_is_that_of_the_proxy() -> None:
    scope = _scope("10.0.0.7", ("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http"))
    assert not Proxies(["10.0.0.7"]).origin_of(scope).is_secure


def test_no_header_is_believed_unless_it_is_set() -> None:
    scope = _scope("10.0.0.7", ("", "eleni"), ("X-Person", "eleni"))
    assert Proxies(["10.0.0.7"]).origin_of(scope).person is None
