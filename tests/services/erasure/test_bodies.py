from datetime import UTC, datetime

from app.buffer.message import BufferedBatch, BufferedBody, encoded
from app.domain.quarantine import Reason
from app.services.erasure.bodies import other_readings_of


def test_a_damaged_message_of_the_buffer_may_name_any_number() -> None:
    octets = b'{"to": ["+306912345670", "+306912345678"]}' * 50
    body = BufferedBody(octets, "/callbacks/***/status", None, None)
    message = encoded(BufferedBatch([body], datetime.now(UTC)))[:-1]
    assert b"+306912345678" not in message
    assert other_readings_of(message, Reason.DAMAGED_BUFFER_MESSAGE).is_sealed
