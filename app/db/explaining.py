"""
The only file that says in words what an error of PostgreSQL or of its driver means.

The texts of the errors are left out: they may quote values, and are in the server's language.
"""

import errno
import getpass
import re
import socket
import ssl
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_DEFAULT_PORT: Final = 5432
_TRANSACTION_MODE: Final = (
    "is reached through a pooler in transaction mode; name PostgreSQL itself in place of the pooler"
)
_OTHER_SCHEMA: Final = "lacks something that this program needs: its schema has another version"
_MOST_HOSTS: Final = 16

#: What an SQLSTATE means; what follows "PostgreSQL at host:port".
_BY_SQLSTATE: Final = {
    "08P01": "is reached through a pooler that does not pass on the settings of sessions, as "
    "PgBouncer; name PostgreSQL itself in place of the pooler",
    "26000": _TRANSACTION_MODE,
    "28000": "does not let {role} log in: it may not (ALTER ROLE … LOGIN), or pg_hba.conf has no "
    "line for it from this host",
    "28P01": "refuses the password of {role}, or has no such role",
    "25006": "takes no writes at the moment: it is a standby, or set to read-only",
    "3D000": "has no database {database}",
    "3F000": _OTHER_SCHEMA,
    "42P01": _OTHER_SCHEMA,
    "42P05": _TRANSACTION_MODE,
    "42501": "does not give {role} the rights that this needs in database {database}",
    "42703": _OTHER_SCHEMA,
    "42883": _OTHER_SCHEMA,
    "53100": "has no space left on its disk",
    "53200": "is out of memory",
    "53300": "has as many connections as it, the database or {role} may have: raise "
    "max_connections, or run fewer workers",
    "55P03": "holds a lock for longer than this may wait",
    "57014": "has ended a statement that took too long",
    "57P01": "is shutting down, or an administrator has ended the session",
    "57P02": "has crashed, and recovers",
    "57P03": "is starting up, recovering or shutting down; try again in a moment",
    "57P05": "has ended a session that was idle",
}
_BY_CLASS: Final = {
    "08": "has lost the connection",
    "25": "refuses the statement in this state of the transaction",
    "28": "does not let {role} log in",
    "40": "has given up the transaction in favour of another one",
    "53": "has too few resources",
    "57": "is stopping, or was asked to stop this",
    "58": "has met an error of its system, such as its disk",
    "XX": "has met an error of its own, or damaged data; its log says which",
}
_NO_ENCRYPTION: Final = re.compile(r"no encryption|SSL off")
_BY_ERRNO: Final = {
    errno.ECONNREFUSED: "refuses the connection: nothing listens there",
    errno.ECONNRESET: "has closed the connection",
    errno.EPIPE: "has closed the connection",
    errno.ENOENT: "does not run: its socket does not exist",
    errno.EACCES: "has a socket that this account may not use",
    errno.EHOSTUNREACH: "cannot be reached from this machine",
    errno.ENETUNREACH: "cannot be reached from this machine",
    errno.ETIMEDOUT: "does not answer in time",
}
#: The first that matches counts.
_BY_TYPE: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    (
        asyncpg.TargetServerAttributeNotMatched,
        "has other session attributes than are asked for: it is a standby, or read-only",
    ),
    (
        asyncpg.ClientConfigurationError,
        "cannot be asked: a parameter of its URL, such as a certificate, is not usable",
    ),
    (ssl.SSLError, "speaks TLS in a way that is not accepted"),
    (socket.gaierror, "is not found: no address is known for that name"),
    (PoolTimeoutError, "is not asked: all connections of this process are in use"),
    (TimeoutError, "does not answer in time"),
    (
        (asyncpg.InterfaceError, asyncpg.InternalClientError, EOFError),
        "has lost the connection",
    ),
)
#: asyncio puts the failures of several addresses of one host into one text.
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


class Host(NamedTuple):
    """Where a server listens."""

    #: A name, an address, or the folder of a socket.
    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


class Where(NamedTuple):
    """Which database is meant, without a password."""

    hosts: str
    role: str
    database: str

    def __str__(self) -> str:
        return f"{self.hosts}/{self.database}"


def where_of(url: str) -> Where:
    """Which database the well-formed *url* means."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    login = parts.netloc.rpartition("@")[0].partition(":")[0]
    role = unquote(login) or query.get("user", [""])[-1] or getpass.getuser()
    database = unquote(parts.path.removeprefix("/")) or query.get("dbname", [role])[-1]
    return Where(",".join(map(str, hosts_of(url))) or "the default host", role, database)


def hosts_of(url: str) -> list[Host]:
    """The hosts of *url* in their order, at most 16; none if it leaves them to the driver."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    names = parts.netloc.rpartition("@")[2]
    specifications = unquote(names) or query.get("host", [""])[0]
    ports = query.get("port", [""])[0].split(",")
    found = [given for given in specifications.split(",") if given][:_MOST_HOSTS]
    return [_host(given, ports[min(at, len(ports) - 1)]) for at, given in enumerate(found)]


def _host(given: str, port: str) -> Host:
    """A host as it stands in a URL; *port* is for one that names none."""
    name, separator, own = given.rpartition(":")
    if separator and own.isdigit() and not given.startswith("/"):
        return Host(name.strip("[]"), int(own))
    return Host(given.strip("[]"), int(port) if port.isdigit() else _DEFAULT_PORT)


def sentence_of(error: BaseException, where: Where | None = None) -> str:
    """What *error* of the database of *where* means, with its SQLSTATE."""
    subject = f"PostgreSQL at {where.hosts}" if where else "PostgreSQL"
    return f"{subject} {predicate_of(error, where)}."


def predicate_of(error: BaseException, where: Where | None = None) -> str:
    """The sentence without its subject and full stop."""
    found = _driver_error(error)
    sqlstate = getattr(found, "sqlstate", None)
    is_from_server = isinstance(found, asyncpg.PostgresError) and bool(sqlstate)
    meaning = _of_server(found, str(sqlstate)) if is_from_server else _of_driver(found)
    role, database = (f"role {where.role}", where.database) if where else ("its role", "it")
    sentence = meaning.replace("{role}", role).replace("{database}", database)
    return f"{sentence} ({sqlstate})" if is_from_server else sentence


def _driver_error(error: BaseException) -> BaseException:
    """The error of asyncpg or of the system that SQLAlchemy has wrapped, perhaps twice."""
    wrapped: BaseException | None = getattr(error, "orig", None)
    return error if wrapped is None else wrapped.__cause__ or wrapped


def _of_server(error: BaseException, sqlstate: str) -> str:
    if sqlstate == "28000" and _NO_ENCRYPTION.search(str(error)):
        return "does not let {role} log in without TLS; set sslmode=require or stricter"
    if sqlstate == "08P01" and "startup parameter" not in str(error):
        return _BY_CLASS["08"]
    other = "has refused a statement; its log says why"
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], other)


def _of_driver(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {error.verify_message}"
    if isinstance(error, ConnectionError) and "SSL upgrade" in str(error):
        return "takes no TLS, and sslmode asks for it"
    if isinstance(error, asyncpg.ClientConfigurationError) and "root certificate" in str(error):
        return "cannot be verified: sslmode=verify-full needs sslrootcert, a file, in the URL"
    for kinds, meaning in _BY_TYPE:
        if isinstance(error, kinds):
            return meaning
    if isinstance(error, OSError):
        number = error.errno or next(map(int, _ERRNO.findall(str(error))), 0)
        return _BY_ERRNO.get(number, "cannot be reached, or has closed the connection")
    return "cannot be used: an error of this program or of a library was met"
