"""The errors of the client of NATS, as those of this service."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from app.errors import BufferUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """
    Raise what the block meets of NATS as one error.

    Raises:
        BufferUnavailable: NATS does not answer, or refuses.
    """
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError, ValueError) as error:
        raise BufferUnavailable(f"The buffer does not answer: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, nats.js.errors.APIError):
        # The description may be missing, and quotes names of streams only.
        return f"NATS refuses, {error.description or 'without a reason'} ({error.code})"
    if isinstance(error, nats.errors.AuthorizationError) or "Authorization" in str(error):
        return "NATS refuses the user or password of RECEIVER_BUFFER_URL"
    if isinstance(error, TimeoutError):
        return "NATS is silent, or its stream has no leader"
    return str(error) or "the connection was lost"
