"""The kinds of values that settings have, each with its check."""

import re
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr

from app.settings.urls import checked_postgres_url, host_of, taken_apart

#: A shorter secret can be guessed; the command below makes one of 43 characters.
MIN_SECRET_CHARACTERS: Final = 32
HOW_TO_MAKE_ONE: Final = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
#: Routee repeats a callback for 40 hours (inferred for Viber), and a message may live for 14 days.
MIN_RETENTION_DAYS: Final = 30
_SECRET_PATTERN: Final = re.compile(r"[A-Za-z0-9_~-]+")
#: Its last label has a letter, unlike that of an address.
_HOST_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[0-9-]*[A-Za-z][A-Za-z0-9-]*")


class SettingsInvalid(ValueError):
    """A setting is missing or unusable; the message says how to correct it, and has no value."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _strong(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in secrets:
        value = secret.get_secret_value()
        if len(value) < MIN_SECRET_CHARACTERS:
            raise ValueError(
                f"each must have at least {MIN_SECRET_CHARACTERS} characters, one has "
                f"{len(value)}. Make one with: {HOW_TO_MAKE_ONE}"
            )
        if not _SECRET_PATTERN.fullmatch(value):
            raise ValueError(
                "each may have letters, digits, '_', '~' and '-' only, because it stands in "
                f"a URL. Make one with: {HOW_TO_MAKE_ONE}"
            )
    return secrets


def _not_too_short(days: int | None) -> int | None:
    if days is not None and days < MIN_RETENTION_DAYS:
        raise ValueError(
            f"must be at least {MIN_RETENTION_DAYS}, or empty to keep everything: Routee "
            "repeats callbacks for 40 hours, and messages live for up to 14 days"
        )
    return days


def _of_postgres(url: str) -> str:
    return checked_postgres_url(url) if url else url


def _of_nats(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith(("nats://", "tls://")) or "," in url:
            raise ValueError("each must be nats://host:port, or tls://host:port")
        taken_apart(url)
        if not host_of(url):
            raise ValueError("each must be nats://host:port, or tls://host:port")
    return urls


def _bare(url: str) -> str:
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// (or http:// on a test machine)")
    if url:
        taken_apart(url)
    return url.rstrip("/")


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ip_network(text)
        except ValueError as error:
            raise ValueError(
                f"each must be an address or a network, such as 10.0.0.0/8: {error}"
            ) from None
    return texts


def _sources(texts: tuple[str, ...]) -> tuple[str, ...]:
    _networks(tuple(text for text in texts if not _HOST_NAME.fullmatch(text)))
    return texts


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split), AfterValidator(_strong)]
RetentionDays = Annotated[int | None, AfterValidator(_not_too_short)]
PostgresUrl = Annotated[str, AfterValidator(_of_postgres)]
Networks = Annotated[Texts, AfterValidator(_networks)]
Sources = Annotated[Texts, AfterValidator(_sources)]
NatsUrls = Annotated[Texts, AfterValidator(_of_nats)]
WebUrl = Annotated[str, AfterValidator(_bare)]
WebUrls = Annotated[Texts, AfterValidator(lambda urls: tuple(map(_bare, urls)))]
