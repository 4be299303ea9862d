"""`routee-receiver config`: the settings and their values; docs/configuration.md."""

import os
from typing import Annotated, Final

import typer
from pydantic.fields import FieldInfo

from app.cli.running import say
from app.settings import (
    Examined,
    Settings,
    examined,
    is_secret,
    masked,
    may_be_in_a_file,
    variable_of,
)

_SECRET: Final = "***"  # noqa: S105 (replaces one)

_HEAD: Final = """\
# Configuration

<!-- Written by `make docs` from app/settings/fields.py. Change that file, not this one. -->

Every setting is an environment variable; an empty one counts as not set. `routee-receiver config`
shows what a process would use and where it comes from (`default`, `environment`, or a file), with
secrets and passwords masked, and what is wrong. A setting that is missing or unusable ends the
program at the start with one line that names the variable and how to correct it; it never shows the
value. So does a `RECEIVER_…` variable that is no setting, as a misspelt one: for every command.

- **To receive callbacks** only `RECEIVER_CALLBACK_SECRETS` is needed. Without
  `RECEIVER_DATABASE_URL` the service runs a PostgreSQL 18 of its own in `RECEIVER_DATA_DIR`.
- **To launch campaigns** `RECEIVER_PUBLIC_URL`, `RECEIVER_SIGNING_KEYS`,
  `RECEIVER_ROUTEE_APPLICATION_ID` and `RECEIVER_ROUTEE_APPLICATION_SECRET` are needed too. Without
  them callbacks and reads work, and `POST /v1/campaigns` answers 503 and names what is missing.
- **To erase recipients** `RECEIVER_ERASURE_KEYS` or `RECEIVER_SIGNING_KEYS` is needed, the same in
  all processes.
- **Files.** Secrets, and URLs with a password, may be in files, such as those of Docker and
  Kubernetes: `RECEIVER_CALLBACK_SECRETS_FILE=/run/secrets/callbacks` in place of
  `RECEIVER_CALLBACK_SECRETS`. Line ends at the end of the file do not count.
- **The database** is named by `RECEIVER_DATABASE_URL`, where `/ @ # ? : %` of a password are
  written as `%2F %40 %23 %3F %3A %25`; or by `RECEIVER_DATABASE_HOST`, `_PORT`, `_USER`,
  `_PASSWORD` and `_NAME`, without any escapes.
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
    Show the settings of this environment, with secrets masked, and where each comes from.

    It needs no database. What is unusable is shown with the reason, and the exit code is 1.

    Example: routee-receiver config
    """
    if markdown:
        typer.echo(configuration_page(), nl=False)
        return
    found = examined(os.environ)
    for name in Settings.model_fields:
        typer.echo(_line(name, found))
    for variable, fault in found.faults.items():
        say(f"routee-receiver: {variable}: {fault}")
    if found.faults:
        raise typer.Exit(1)


def configuration_page() -> str:
    """The page docs/configuration.md."""
    rows = [
        f"| `{variable_of(name)}` | {_default(field)} | {_meaning(name, field)} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "".join(rows)


def _line(name: str, found: Examined) -> str:
    """The setting *name* as it is written in the environment, with a comment on its source."""
    variable, path = found.sources.get(name, (variable_of(name), None))
    if variable in found.faults:
        return f"{variable_of(name)}=  # unusable, see below: {path or 'environment'}"
    source = f"file {path}" if path else "environment" if name in found.sources else "default"
    value = getattr(found.settings, name)
    if name == "database_url" and value and name not in found.sources:
        source = "RECEIVER_DATABASE_HOST and the others"
    return f"{variable_of(name)}={_masked(name, value)}  # {source}"


def _masked(name: str, value: object) -> str:
    shown = _shown(value)
    if shown and is_secret(name):
        return _SECRET
    if "://" in shown:
        return ",".join(map(masked, value if isinstance(value, tuple) else (shown,)))
    return shown


def _default(field: FieldInfo) -> str:
    shown = _shown(field.default)
    return f"`{shown}`" if shown else ""


def _meaning(name: str, field: FieldInfo) -> str:
    text = field.description or ""
    if is_secret(name):
        return f"{text} Secret; or `{variable_of(name)}_FILE`."
    return f"{text} Or `{variable_of(name)}_FILE`." if may_be_in_a_file(name) else text


def _shown(value: object) -> str:
    """*value* as it is written in the environment; empty if it is not set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
