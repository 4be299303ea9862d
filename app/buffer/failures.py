"""The errors of the client of NATS, as those of this service."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors

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
        raise BufferUnavailable(f"The buffer does not answer: {error!r}") from error
