"""Logs: one line for each event, without secrets and whole telephone numbers."""

import asyncio
import logging
import re
import sys
from functools import partial
from types import TracebackType
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.domain.masking import SecretMask, mask_numbers_with_plus

_CREDENTIALS: Final = re.compile(
    r"\brr_[A-Za-z0-9_-]{43}"  # an API key
    r"|(?<=bearer )[^\s'\"\\]+"
    r"|(?<=basic )[A-Za-z0-9+/=]{16,}",
    re.IGNORECASE,
)


def configure_logs(
    *,
    log_format: Literal["console", "json"],
    level: str = "INFO",
    mask: SecretMask | None = None,
) -> None:
    """
    Send all logs, also those of libraries, through the same masking to stderr.

    Whole lines are masked, whatever values and names they are made of: callback tokens and all else
    that *mask* finds, API keys, HTTP credentials and telephone numbers.

    Tracebacks show no local variables: these hold API keys, tokens and whole requests.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,  # the plain traceback, as text that can be masked
        _drop_coloured_message,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_no_cancellation)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
                partial(masked_line, mask or SecretMask()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    if log_format == "json":
        sys.excepthook = _log_failure
    # httpx logs each request with its URL, alembic each check of the schema's version.
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _log_failure(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Log what would end the program with a traceback."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    structlog.get_logger().critical("the program failed", exc_info=(kind, error, traceback))


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """
    Whether *record* is worth a line: what was cancelled ended as it was asked to.

    SQLAlchemy's pool reports such an end of a connection as an error, with a traceback.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _drop_coloured_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop the second version of each message, which uvicorn adds for terminals."""
    event.pop("color_message", None)
    return event


def masked_line(mask: SecretMask, _: WrappedLogger, __: str, line: str) -> str:
    """A line without secrets, credentials, and numbers that have a `+`."""
    return mask_numbers_with_plus(_CREDENTIALS.sub("***", mask.shown(line)))
