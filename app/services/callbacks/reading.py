"""From the body of a request to the records that it reports, as they may be stored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog

from app.domain.masking import SecretMask
from app.domain.quarantine import Quarantined, quarantined
from app.kit.log_limiter import LogLimiter
from app.observability.metrics import Metrics
from app.routee.content import Content, opened
from app.routee.translate import NO_ODDITIES, Translation, translate, translate_in_pieces
from app.routee.wire import Unreadable
from app.services.callbacks.flush import PendingRecord
from app.services.callbacks.masking import without_secrets

log = structlog.get_logger()


class Body(NamedTuple):
    """The body of one request."""

    octets: bytes
    #: The path that it was posted to, without the token.
    path: str
    #: The campaign whose token it came through; None for a shared callback secret.
    campaign_id: UUID | None
    #: The headers that say how the octets are to be read; None if they say what is usual.
    content: Content | None = None


class Reader:
    """Reads bodies; secrets of ours that they quote are masked."""

    def __init__(
        self, metrics: Metrics, *, mask: SecretMask | None = None, max_body_bytes: int = 1024 * 1024
    ) -> None:
        self._metrics = metrics
        self._mask = mask or SecretMask()
        self._max_body_bytes = max_body_bytes
        self._lines = LogLimiter(1.0)

    def read(self, body: Body) -> Sequence[PendingRecord]:
        """
        What *body*, which has no `content`, reports: at least one record.

        Raises:
            Exception: an error that was not foreseen; it is counted and logged.
        """
        octets, path, campaign_id, _ = body
        try:
            return self._pending(translate(octets, campaign_id=campaign_id, path=path), body)
        except Exception as error:
            self.note_failure(error)
            raise

    def read_in_pieces(self, body: Body) -> Iterator[Sequence[PendingRecord]]:
        """What *body* reports, a few milliseconds' work each; it is opened with the first piece."""
        for piece in self._pieces_of(body):
            yield self._pending(piece, body)

    def note_failure(self, error: Exception) -> None:
        """Count and log *error*, which was not foreseen."""
        self._metrics.records_failed.labels("read").inc()
        if times := self._lines.due():
            log.error(
                "a body met an unforeseen error and was not stored", times=times, exc_info=error
            )

    def _pieces_of(self, body: Body) -> Iterator[Translation]:
        octets, path, campaign_id, content = body
        charset = None
        if content is not None:
            try:
                octets = opened(octets, content, max_bytes=self._max_body_bytes)
            except Unreadable as error:
                yield Translation((), error.reason, NO_ODDITIES)
                return
            charset = content.charset
        yield from translate_in_pieces(octets, campaign_id=campaign_id, path=path, charset=charset)

    def _pending(self, translation: Translation, body: Body) -> Sequence[PendingRecord]:
        records, reason, oddities = translation
        octets, path, campaign_id, content = body
        for oddity in oddities:
            self._metrics.oddities.labels(oddity).inc()
        pending = [PendingRecord(without_secrets(one, self._mask), path) for one in records]
        if content is not None and content.charset is not None:
            pending = [self._with_charset(one, content) for one in pending]
        if reason is not None:
            content_type, content_encoding = content or Content()
            unreadable = quarantined(
                octets,
                reason,
                path=path,
                campaign_id=campaign_id,
                content_type=self._mask.text(content_type),
                content_encoding=self._mask.text(content_encoding),
            )
            pending.append(PendingRecord(unreadable, path))
        return pending

    def _with_charset(self, pending: PendingRecord, content: Content) -> PendingRecord:
        """*pending* with the header that says how its payload is to be read, if that is needed."""
        record = pending.record
        if isinstance(record, Quarantined) or _is_utf8(record.payload):
            return pending
        return pending._replace(content_type=self._mask.text(content.type))


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
