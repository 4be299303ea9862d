"""The SQL that makes a login for an analyst, run by the service or by an administrator."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from app.db.bi.access import READER, READER_PII
from app.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED: Final = ("pg_", "bi_reader", "public", "none", "current_", "session_", "user")
_TEMPORARY_FILES: Final = "10GB"


class BiLogin(NamedTuple):
    """A login to make."""

    name: str
    #: Of its password; see `kit.scram`.
    verifier: str
    pii: bool
    max_seconds: int
    max_connections: int


def check_name(name: str) -> None:
    """
    Refuse what cannot be the name of a login.

    Raises:
        ConfigurationError: it is too long, reserved, or would need quoting in a client.
    """
    if not _NAME.fullmatch(name) or name.startswith(_RESERVED):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a login. Take 1 to 63 of a-z, 0-9 and _, a letter "
            f"first; these beginnings are taken: {', '.join(_RESERVED)}."
        )


def statements(
    login: BiLogin, *, database: str, creator: str | None, limit_files: bool
) -> Iterator[str]:
    """
    The statements that make *login*, whose name was checked.

    Args:
        login: The login to make.
        database: The only one of the cluster that it may read.
        creator: The role of the service, unless it is a superuser: a member of the login may see
            and end the login's queries.
        limit_files: Whether to limit temporary files, which only a superuser may do.
    """
    name = quoted(login.name)  # it may be a word of SQL
    yield (
        f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {login.max_connections} "
        f"PASSWORD '{login.verifier}'"
    )
    for role in (READER, READER_PII) if login.pii else (READER,):
        yield f"GRANT {role} TO {name} WITH INHERIT TRUE, SET FALSE"
    for setting, value in _session(login, limit_files=limit_files).items():
        yield f"ALTER ROLE {name} SET {setting} = '{value}'"
    if creator is not None:
        yield f"GRANT {name} TO {quoted(creator)} WITH INHERIT TRUE, SET FALSE"
    yield f"GRANT CONNECT ON DATABASE {quoted(database)} TO {name}"


def quoted(name: str) -> str:
    """*name* as an identifier of SQL, also where it is a keyword or has quotes."""
    return '"' + name.replace('"', '""') + '"'


def _session(login: BiLogin, *, limit_files: bool) -> dict[str, str]:
    """The settings of each session. It can change all but the files: hence the watchdog."""
    settings = {
        "default_transaction_read_only": "on",
        "statement_timeout": f"{login.max_seconds}s",
        "transaction_timeout": f"{login.max_seconds}s",
        # A notebook or a cursor thinks between two questions for as long as it may ask.
        "idle_in_transaction_session_timeout": f"{login.max_seconds}s",
        "search_path": "bi_v1",
    }
    return settings | {"temp_file_limit": _TEMPORARY_FILES} if limit_files else settings
