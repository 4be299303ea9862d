"""How the process logs: one line an event, and never a secret or a whole telephone number."""

import logging
import re
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.domain.masking import mask_callback_urls, mask_number

_NUMBER: Final = re.compile(r"\+\d{7,15}\b")


def configure_logs(*, log_format: Literal["console", "json"], level: str = "INFO") -> None:
    """Send everything, the libraries' logs included, through the same masking to stderr."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        _without_colours,
        mask_secrets,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # The one logs each request with its URL, the other each look at the schema's version.
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _without_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop uvicorn's second version of each message, which is for terminals."""
    event.pop("color_message", None)
    return event


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the tokens of callback URLs, and telephone numbers, in every text of an event."""
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _NUMBER.sub(lambda match: mask_number(match[0]), mask_callback_urls(value))
