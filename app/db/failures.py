"""The only file that knows what PostgreSQL's and asyncpg's errors mean for a batch."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import asyncpg

from app.db.explaining import Where, sentence_of
from app.errors import DatabaseUnavailable, ReceiverError

P = ParamSpec("P")
R = TypeVar("R")

#: SQLSTATE classes that blame the values: data exception, integrity violation, program limit.
_BLAMES_THE_VALUES: Final = ("22", "23", "54")
_SERIALIZATION_FAILURE: Final = "40001"
_DEADLOCK_DETECTED: Final = "40P01"


class ValuesRefused(ReceiverError):
    """The database, or its driver, refuses the values: repeating cannot help."""


class Contended(ReceiverError):
    """The transaction lost against another one: repeating it at once helps."""


@contextmanager
def translated(where: Where | None = None) -> Iterator[None]:
    """
    Raise the driver's errors as what they mean for the batch. *where* is for their messages.

    Raises:
        ValuesRefused: SQLSTATE class 22, 23 or 54, or values that the driver cannot encode.
        Contended: a deadlock or a serialization failure.
        DatabaseUnavailable: everything else: failover, lock timeout, read-only, lost connection.
            A database that fails must not make good callbacks look bad.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _meaning(error, where) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise ValuesRefused(type(error).__name__) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        raise DatabaseUnavailable(sentence_of(error, where)) from error


def translating(
    call: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """*call*, whose first argument is a connection, and which raises what `translated` raises."""

    @wraps(call)
    async def _translated(*args: P.args, **kwargs: P.kwargs) -> R:
        where = getattr(args[0], "where", None) if args else None
        with translated(where):
            return await call(*args, **kwargs)

    return _translated


def _meaning(error: asyncpg.PostgresError, where: Where | None) -> ReceiverError:
    sqlstate = error.sqlstate or ""
    # The message of the error is left out: it may quote a value.
    text = f"{type(error).__name__} ({sqlstate})"
    if sqlstate in (_SERIALIZATION_FAILURE, _DEADLOCK_DETECTED):
        return Contended(text)
    if sqlstate.startswith(_BLAMES_THE_VALUES):
        return ValuesRefused(text)
    return DatabaseUnavailable(sentence_of(error, where))
