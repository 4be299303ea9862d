"""An export as an answer: sent while it is read, and recognisably broken if it fails midway."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from app.api.parts import unless_gone
from app.api.wire import iso
from app.errors import ReceiverError
from app.services.exports.exports import Encoder, ExportRequest, Exports, Format

log = structlog.get_logger()

MEDIA_TYPES: Final = {
    Format.CSV: "text/csv",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}
#: The instant before which the export is complete: the `since` of the next export.
COMPLETE_UNTIL: Final = "Export-Complete-Until"
_PARAMETERS: Final = {Format.CSV: "; charset=utf-8; header=present"}
#: Sending a megabyte at once would keep the event loop busy for milliseconds.
_PIECE_BYTES: Final = 131_072
#: A client that reads nothing for so long must not hold a snapshot of the database.
_SEND_SECONDS: Final = 60.0


class ExportAnswer(Response):
    """
    The bytes of an export, in chunks.

    A failure before the first chunk is answered as a problem. After it the connection is closed
    without the last chunk, which every client reports as a broken download.
    """

    def __init__(
        self, exports: Exports, wanted: ExportRequest, format_: Format, encoder: Encoder
    ) -> None:
        at = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        name = f"{wanted.table}-{at}.{format_}"
        super().__init__(headers={"Content-Disposition": f'attachment; filename="{name}"'})
        del self.headers["content-length"]
        self.headers["Content-Type"] = MEDIA_TYPES[format_] + _PARAMETERS.get(format_, "")
        self._exports = exports
        self._wanted = wanted
        self._encoder = encoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the export; if the client closes the connection, the query ends."""
        del scope
        await unless_gone(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        async with self._exports.served(self._wanted, self._encoder) as export:
            if export.complete_until is not None:
                self.headers[COMPLETE_UNTIL] = iso(export.complete_until)
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            try:
                async for chunk in export.chunks:
                    await _sent(send, chunk, more=True)
                await _sent(send, b"", more=False)
            except (ReceiverError, TimeoutError) as error:
                # Without the last chunk the server closes the connection.
                log.warning("an export broke off", table=self._wanted.table, error=str(error))


async def _sent(send: Send, chunk: bytes, *, more: bool) -> None:
    for at in range(0, max(len(chunk), 1), _PIECE_BYTES):
        piece = chunk[at : at + _PIECE_BYTES]
        async with asyncio.timeout(_SEND_SECONDS):
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        await asyncio.sleep(0)
