"""When Python looks for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_collecting() -> Iterator[None]:
    """Leave garbage alone, as while modules are imported: collections take a fifth of that time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
