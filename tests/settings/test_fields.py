from pathlib import Path

import pytest

from app.settings import SettingsInvalid, load_settings

SECRET = "a" * 32


def _load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> object:
    for name, value in variables.items():
        monkeypatch.setenv(f"RECEIVER_{name}", value)
    return load_settings()


def test_every_setting_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECEIVER_DATA_DIR", raising=False)
    settings = load_settings()
    assert settings.data_dir == Path("var")
    assert settings.database_url == ""
    assert settings.ack_budget_seconds == 1.5


@pytest.mark.parametrize("name", ["CALLBACK_SECRETS", "SIGNING_KEYS"])
def test_a_weak_secret_is_refused_with_the_way_to_make_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(SettingsInvalid, match=r"secrets\.token_urlsafe") as refusal:
        _load(monkeypatch, **{name: f"{SECRET},short-one"})
    assert f"RECEIVER_{name}" in str(refusal.value)
    assert "short-one" not in str(refusal.value)


def test_a_secret_that_cannot_stand_in_a_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match="URL"):
        _load(monkeypatch, CALLBACK_SECRETS=SECRET + "/?#")


def test_several_secrets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_CALLBACK_SECRETS", f" {SECRET} , {SECRET}b ,")
    assert [it.get_secret_value() for it in load_settings().callback_secrets] == [
        SECRET,
        SECRET + "b",
    ]


def test_no_callback_secret_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(SettingsInvalid, match="RECEIVER_CALLBACK_SECRETS is not set"):
        load_settings().require_callback_secrets()


def test_printing_the_settings_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET not in repr(_load(monkeypatch, CALLBACK_SECRETS=SECRET, SIGNING_KEYS=SECRET))


@pytest.mark.parametrize("url", ["mysql://x", "sqlite:///x", "localhost:5432"])
def test_the_url_of_another_database_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(SettingsInvalid, match="postgresql://"):
        _load(monkeypatch, DATABASE_URL=url)


def test_a_url_for_sqlalchemy_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", "postgresql+asyncpg://u@h/d")
    assert load_settings().database_url == "postgresql://u@h/d"


@pytest.mark.parametrize(
    ("given", "writing", "reading"),
    [
        ("postgresql://u@a/d", "", ""),
        (
            "postgresql://u@a,b/d",
            "?target_session_attrs=read-write",
            "?target_session_attrs=prefer-standby",
        ),
        ("postgresql://u:x%2Cy@a/d", "", ""),
        (
            "postgresql://u@/d?host=a,b",
            "&target_session_attrs=read-write",
            "&target_session_attrs=prefer-standby",
        ),
        ("postgresql://u@a,b/d?target_session_attrs=primary", "", ""),
    ],
)
def test_of_several_hosts_the_one_that_suits_is_wanted(
    monkeypatch: pytest.MonkeyPatch, given: str, writing: str, reading: str
) -> None:
    _load(monkeypatch, DATABASE_URL=given, DATABASE_READ_URL=given)
    settings = load_settings()
    assert settings.database_url == f"{given}{writing}"
    assert settings.database_read_url == f"{given}{reading}"


@pytest.mark.parametrize("target", ["any", "standby", "prefer-standby", "read-only"])
def test_the_database_must_take_writes(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    with pytest.raises(SettingsInvalid, match="read-write"):
        _load(monkeypatch, DATABASE_URL=f"postgresql://u@a,b/d?target_session_attrs={target}")


def test_the_missing_settings_for_launching_are_named() -> None:
    assert load_settings().missing_for_launching() == (
        "RECEIVER_PUBLIC_URL",
        "RECEIVER_SIGNING_KEYS",
        "RECEIVER_ROUTEE_APPLICATION_ID",
        "RECEIVER_ROUTEE_APPLICATION_SECRET",
    )


def test_words_of_replies_that_opt_out_may_have_blanks_and_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "STOP" in load_settings().bi_opt_out_words
    monkeypatch.setenv("RECEIVER_BI_OPT_OUT_WORDS", "no more, basta ,")
    assert load_settings().bi_opt_out_words == ("no more", "basta")


@pytest.mark.parametrize("currency", ["eur", "EURO", "€"])
def test_a_currency_has_three_letters(monkeypatch: pytest.MonkeyPatch, currency: str) -> None:
    with pytest.raises(SettingsInvalid, match="RECEIVER_CURRENCY"):
        _load(monkeypatch, CURRENCY=currency)


def test_the_servers_of_the_buffer_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().buffer_url == ()
    monkeypatch.setenv("RECEIVER_BUFFER_URL", "nats://u:p@n1:4222, tls://n2:4222,nats://[::1]:4222")
    settings = load_settings()
    assert settings.buffer_url[1] == "tls://n2:4222"
    assert settings.monitor_urls_of_buffer() == (
        "http://n1:8222",
        "http://n2:8222",
        "http://[::1]:8222",
    )
    monkeypatch.setenv("RECEIVER_BUFFER_MONITOR_URLS", "http://m1:1/, http://m2:2")
    assert load_settings().monitor_urls_of_buffer() == ("http://m1:1", "http://m2:2")


@pytest.mark.parametrize("url", ["n1:4222", "http://n1:4222", "nats://", "nats://n1,n2"])
def test_a_server_of_the_buffer_needs_a_scheme_and_a_host(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RECEIVER_BUFFER_URL", url)
    with pytest.raises(SettingsInvalid, match="RECEIVER_BUFFER_URL: each must be nats://"):
        load_settings()


def test_sources_are_networks_and_host_names_and_proxies_are_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = "192.0.2.0/24, 2001:db8::1, callbacks.routee.example, localhost"
    monkeypatch.setenv("RECEIVER_CALLBACK_SOURCES", sources)
    monkeypatch.setenv("RECEIVER_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")
    settings = load_settings()
    assert ", ".join(settings.callback_sources) == sources
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLBACK_SOURCES", "192.0.2.1/24"),
        ("CALLBACK_SOURCES", "192.0.2"),
        ("CALLBACK_SOURCES", "https://routee.example"),
        ("CALLBACK_SOURCES", "a..example"),
        ("TRUSTED_PROXIES", "proxy.example"),
    ],
)
def test_what_is_no_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"RECEIVER_{name}.*such as 10.0.0.0/8"):
        _load(monkeypatch, **{name: value})


def test_a_header_that_names_people_needs_proxies_that_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsInvalid, match="RECEIVER_TRUSTED_PROXIES"):
        _load(monkeypatch, UI_TRUSTED_HEADER="X-Person")


def test_people_whom_a_proxy_names_have_scopes_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match="each must be one of read, pii, campaigns, admin"):
        _load(monkeypatch, UI_TRUSTED_SCOPES="read,everything")
