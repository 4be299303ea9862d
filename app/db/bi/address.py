"""The only file that knows the connection URIs that analysts' programs are given."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

#: What of the service's own URL is true for every client. Certificates and files are not.
_SHARED: Final = ("host", "port", "sslmode", "target_session_attrs")


def address(url: str, *, user: str, password: str, database: str) -> str:
    """A connection URI of libpq to where the service's *url* leads, for another account."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    query = [(key, value) for key, value in parse_qsl(parts.query) if key in _SHARED]
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    uri = f"postgresql://{account}@{where}/{quote(database, safe='')}"
    return f"{uri}?{urlencode(query, quote_via=quote, safe='')}" if query else uri


def on_localhost(url: str, port: int) -> str:
    """The *url* of the embedded server by its TCP port, for programs that know no sockets."""
    return f"postgresql://127.0.0.1:{port}{urlsplit(url).path}"


def socket_folder_of(url: str) -> str | None:
    """The folder of the socket, if *url* leads to one."""
    return dict(parse_qsl(urlsplit(url).query)).get("host") if "host=" in url else None
