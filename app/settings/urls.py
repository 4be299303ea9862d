"""Addresses with a password in them: taken apart, checked and shown without it."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

MASK: Final = "***"
_POSTGRES: Final = ("postgresql", "postgres")
_TARGET: Final = "target_session_attrs"
_MAX_PORT: Final = 65535
_UNESCAPED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[@\[\]\s\\]")
_SECRET_PARAMETERS: Final = ("password", "sslpassword")
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_ESCAPES: Final = "write / as %2F, @ as %40, # as %23, ? as %3F, : as %3A, % as %25"


def taken_apart(url: str) -> SplitResult:
    """
    The parts of *url*; what follows from a password that is not escaped is refused.

    Raises:
        ValueError: it cannot be what is meant; the message quotes nothing.
    """
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    userinfo, _, hosts = authority.rpartition("@")
    beyond = rest[len(authority) :]
    # In u:pa/ss@host the password ends what looks like the host and a port.
    is_cut = not userinfo and ("@" in beyond.partition("?")[0] or not _has_sound_ports(hosts))
    if _UNESCAPED.search(userinfo) or userinfo.count(":") > 1 or (is_cut and "@" in beyond):
        raise ValueError(f"its user or password has a character that must be escaped: {_ESCAPES}")
    if "#" in beyond:
        raise ValueError(f"has a # that must be escaped: {_ESCAPES}")
    if not _has_sound_ports(hosts):
        raise ValueError(f"the port of a host must be a number from 1 to {_MAX_PORT}")
    try:
        return urlsplit(url)
    except ValueError:  # its text may quote all of it
        raise ValueError("its host is not well-formed") from None


def _has_sound_ports(hosts: str) -> bool:
    for host in unquote(hosts).split(","):
        if host.startswith("/"):
            continue
        if host.count(":") > 1 and not host.startswith("["):
            return False
        port = host.rpartition("]")[2].partition(":")
        if port[1] and not (port[2].isdecimal() and 0 < int(port[2]) <= _MAX_PORT):
            return False
    return True


def checked_postgres_url(url: str) -> str:
    """
    *url* of a PostgreSQL, in the spelling of its own programs.

    Raises:
        ValueError: it is of something else, or is not well-formed; the message quotes nothing.
    """
    if url.partition("://")[0].partition("+")[0] not in _POSTGRES or "://" not in url:
        raise ValueError("must start with postgresql://; no other database is supported")
    parts = taken_apart(url)
    try:
        given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ValueError("what follows its ? must be name=value&name=value") from None
    if given.get("sslmode", "prefer") not in _TLS_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(_TLS_MODES)}")
    for name in _FILES:
        if name in given and not Path(given[name]).is_file():
            raise ValueError(f"the file of {name}, {given[name]}, does not exist")
    if not all(port.isdecimal() for port in given.get("port", "1").split(",")):
        raise ValueError(f"the port of a host must be a number from 1 to {_MAX_PORT}")
    return f"postgresql://{url.partition('://')[2]}"


def postgres_url(*, host: str, port: int, user: str, password: str, name: str) -> str:
    """The URL of a PostgreSQL of these parts; *host* may be several, or the folder of a socket."""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    path = f"/{quote(name, safe='')}"
    if host.startswith("/"):
        return f"postgresql://{login}@{path}?host={quote(host, safe='')}&port={port}"
    hosts = ",".join(_with_port(one.strip(), port) for one in host.split(","))
    return f"postgresql://{login}@{hosts}{path}"


def _with_port(host: str, port: int) -> str:
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def target_of(url: str) -> str | None:
    """Which of several servers *url* asks for, in libpq's words."""
    return dict(parse_qsl(urlsplit(url).query)).get(_TARGET)


def has_several_hosts(url: str) -> bool:
    """Whether *url* names more than one server."""
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query)).get("host", "")
    return "," in unquote(parts.netloc.rpartition("@")[2]) or "," in named


def with_target(url: str, target: str) -> str:
    """*url*, which asks for the *target* among its servers."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{_TARGET}={target}"))


def host_of(url: str) -> str:
    """The host of *url*, an IPv6 address in brackets; empty if there is none."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def masked(url: str) -> str:
    """A well-formed *url* with its passwords masked."""
    parts = urlsplit(url)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if colon:
        userinfo = f"{user}:{MASK}"
    query = parts.query
    pairs = parse_qsl(query)
    if any(name in _SECRET_PARAMETERS for name, _ in pairs):
        shown = [(name, MASK if name in _SECRET_PARAMETERS else value) for name, value in pairs]
        query = urlencode(shown, safe="*/,")
    return urlunsplit(parts._replace(netloc=f"{userinfo}{at}{hosts}", query=query))
