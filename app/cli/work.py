"""`routee-receiver work`: stores what the buffer has acknowledged."""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from typing import Annotated, Final

import typer

from app.cli.listening import other_socket
from app.cli.running import database_url, loaded_settings, require_schema, run, say
from app.cli.starting import abilities_line, database_line
from app.cli.version import version_line
from app.domain.masking import SecretMask
from app.kit import service_manager
from app.kit.shutdown import MOST_SECONDS, end_on_hangup, end_within
from app.main import running_worker
from app.observability.logs import configure_logs
from app.sandbox.serving import served
from app.services.buffer.worker import Worker
from app.settings import Settings

#: For the batch in hand; without an answer of the database it is delivered to another worker.
_SHUTDOWN_SECONDS: Final = 8.0


def work(
    *,
    host: Annotated[str, typer.Option(help="Address for RECEIVER_OPERATIONS_PORT.")] = "127.0.0.1",
) -> None:
    """
    Store the callbacks that `serve` has put into the buffer. Run as many as the load needs.

    Needs RECEIVER_BUFFER_URL, and otherwise the settings of `serve`. It goes on whatever happens to
    NATS and PostgreSQL; SIGTERM ends it after the batch in hand. With RECEIVER_OPERATIONS_PORT it
    serves /livez, /readyz and /metrics there, at --host; each worker of a machine needs another.

    Example: RECEIVER_BUFFER_URL=nats://n1:4222,nats://n2:4222,nats://n3:4222 routee-receiver work
    """
    settings = loaded_settings()
    mask = SecretMask(settings.all_secrets())
    configure_logs(log_format=settings.log_format, level=settings.log_level, mask=mask)
    run(_work(settings, host=host))


async def _work(settings: Settings, *, host: str) -> None:
    async with database_url(settings) as url:
        located = settings.model_copy(update={"database_url": url})
        await require_schema(located)
        async with AsyncExitStack() as stack:
            worker, operations = await stack.enter_async_context(running_worker(located))
            if located.operations_port is not None:
                listening = other_socket("Operations", host, located.operations_port)
                await stack.enter_async_context(served(operations, listening))
            database, _ = await database_line(settings, url)
            able = abilities_line(settings)
            say(f"Storing what is buffered: {version_line()}, {database}, {able}")
            service_manager.notify(service_manager.READY)
            async with service_manager.keeping_alive():
                await _run(worker)


async def _run(worker: Worker) -> None:
    """Run *worker* until a signal ends it; a second one ends it without the batch in hand."""
    loop = asyncio.get_running_loop()
    working = loop.create_task(worker.run())

    def _end() -> None:
        service_manager.notify(service_manager.STOPPING)
        end_within(MOST_SECONDS)
        if worker.is_stopping:
            working.cancel()
        worker.stop()
        loop.call_later(_SHUTDOWN_SECONDS, working.cancel)

    end_on_hangup()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end)
    with suppress(asyncio.CancelledError):
        await working
