"""`routee-receiver config`: the settings and their values; docs/configuration.md."""

from typing import Annotated, Final

import typer
from pydantic.fields import FieldInfo

from app.cli.running import loaded_settings
from app.settings import Settings

_PREFIX: Final = "RECEIVER_"
_SECRET: Final = "***"  # noqa: S105 (replaces one)

_HEAD: Final = """\
# Configuration

<!-- Written by `make docs` from app/settings.py. Change that file, not this one. -->

Every setting is an environment variable. `routee-receiver config` shows what a process would use,
with secrets masked. A setting that is missing or unusable ends the program at the start with one
line that names the variable and how to correct it; it never shows the value.

- **To receive callbacks** only `RECEIVER_CALLBACK_SECRETS` is needed. Without
  `RECEIVER_DATABASE_URL` the service runs a PostgreSQL 18 of its own in `RECEIVER_DATA_DIR`.
- **To launch campaigns** `RECEIVER_PUBLIC_URL`, `RECEIVER_SIGNING_KEYS`,
  `RECEIVER_ROUTEE_APPLICATION_ID` and `RECEIVER_ROUTEE_APPLICATION_SECRET` are needed too. Without
  them callbacks and reads work, and `POST /v1/campaigns` answers 503 and names what is missing.
- **To erase recipients** `RECEIVER_ERASURE_KEYS` or `RECEIVER_SIGNING_KEYS` is needed, the same in
  all processes.
- **Secrets** have at least 32 characters from letters, digits, `_`, `~` and `-`. Make one with
  `python3 -c "import secrets; print(secrets.token_urlsafe(32))"`.
- **Retention** is at least 30 days wherever it is limited. Payloads may not outlive their events,
  nor events their messages.

| variable | default | meaning |
|---|---|---|
"""


def config(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/configuration.md instead of the values.")
    ] = False,
) -> None:
    """
    Show the settings of this environment, with secrets masked. Needs no database.

    Example: routee-receiver config
    """
    if markdown:
        typer.echo(configuration_page(), nl=False)
        return
    settings = loaded_settings()
    for name, field in Settings.model_fields.items():
        value = _shown(getattr(settings, name))
        shown = _SECRET if value and _is_masked(name, field) else value
        typer.echo(f"{_variable(name)}={shown}")


def configuration_page() -> str:
    """The page docs/configuration.md."""
    rows = [
        f"| `{_variable(name)}` | {_default(field)} | {_meaning(field)} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "".join(rows)


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _default(field: FieldInfo) -> str:
    shown = _shown(field.default)
    return f"`{shown}`" if shown else ""


def _meaning(field: FieldInfo) -> str:
    text = field.description or ""
    return f"{text} Secret." if _is_secret(field) else text


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _is_masked(name: str, field: FieldInfo) -> bool:
    """Whether its value is secret, or an address that may contain a password."""
    return _is_secret(field) or name.startswith("database_") or name == "buffer_url"


def _shown(value: object) -> str:
    """*value* as it is written in the environment; empty if it is not set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
