"""Addresses with passwords: what is refused, and what is shown of them."""

from urllib.parse import unquote, urlsplit

import pytest

from app.settings import SettingsInvalid, load_settings
from app.settings.urls import masked

PASSWORD = "hunter22"


@pytest.mark.parametrize("character", ["/", "@", "#", "?", ":", "[", "]", "%", " ", "\\"])
@pytest.mark.parametrize("rest", ["db/d", "db:5432/d", "db1,db2/d", "[::1]:5432/d"])
@pytest.mark.parametrize("user", ["me:", "5432:"])
def test_a_password_that_is_not_escaped_is_refused_without_it(
    monkeypatch: pytest.MonkeyPatch, character: str, rest: str, user: str
) -> None:
    url = f"postgresql://{user}hun{character}ter22@{rest}"
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    with pytest.raises(SettingsInvalid, match=r"^RECEIVER_DATABASE_URL: .*") as refusal:
        load_settings()
    assert "%2F" in str(refusal.value)
    for part in ("hun", "ter22"):
        assert part not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:hunter22@db:port/d", "port"),
        ("postgresql://me:hunter22@db:70000/d", "port"),
        ("postgresql://me:hunter22@::1/d", "port"),
        ("postgresql://me:hunter22@db/d?sslmode=yes", "sslmode must be one of"),
        ("postgresql://me:hunter22@db/d?sslrootcert=/no/such/file", "does not exist"),
        ("postgresql://me:hunter22@db/d?hunter22", "name=value"),
        ("postgresql://me:hunter22@db\u2100/d", "host is not well-formed"),
    ],
)
def test_other_faults_of_a_url_are_named(
    monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)
    with pytest.raises(SettingsInvalid, match=why) as refusal:
        load_settings()
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize("url", ["nats://me:hun/ter22@n1:4222", "nats://me:hun#ter22@n1"])
def test_a_buffer_url_that_is_not_escaped_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RECEIVER_BUFFER_URL", url)
    with pytest.raises(SettingsInvalid, match="%2F") as refusal:
        load_settings()
    assert "ter22" not in str(refusal.value)


def test_a_database_may_be_named_by_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "p/@#?:%[ ]\\ü"
    for name, value in {
        "HOST": "h1,::1",
        "PORT": "5433",
        "USER": "me@tenant",
        "PASSWORD": password,
        "NAME": "a b",
    }.items():
        monkeypatch.setenv(f"RECEIVER_DATABASE_{name}", value)
    url = urlsplit(load_settings().database_url)
    user, _, given = url.netloc.rpartition("@")[0].partition(":")
    assert (unquote(user), unquote(given)) == ("me@tenant", password)
    assert url.netloc.rpartition("@")[2] == "h1:5433,[::1]:5433"
    assert (unquote(url.path), url.query) == ("/a b", "target_session_attrs=read-write")
    monkeypatch.setenv("RECEIVER_DATABASE_HOST", "/run/postgresql")
    assert "?host=%2Frun%2Fpostgresql&port=5433" in load_settings().database_url


def test_the_parts_of_a_database_are_complete_and_stand_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_HOST", "h")
    with pytest.raises(
        SettingsInvalid, match="RECEIVER_DATABASE_USER and RECEIVER_DATABASE_NAME must be set"
    ):
        load_settings()
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql://me@h/d")
    with pytest.raises(SettingsInvalid, match="must not be set together"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter22@h1,h2:1/d", "postgresql://me:***@h1,h2:1/d"),
        ("postgresql://me@h/d?password=hunter22&x=1", "postgresql://me@h/d?password=***&x=1"),
        ("postgresql://me@/d?host=%2Frun&port=1", "postgresql://me@/d?host=%2Frun&port=1"),
        ("nats://me:hunter22@n1:4222", "nats://me:***@n1:4222"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert masked(url) == shown
