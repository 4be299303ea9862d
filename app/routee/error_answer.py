"""How Routee spells an error, and whether it is a definite refusal."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.domain.masking import mask_callback_urls
from app.errors import Fault, RouteeRefused, RouteeUnavailable
from app.routee import reading, wire
from app.routee.exchange import RouteeAnswer, retry_after_seconds
from app.routee.reading import Payload
from app.routee.refusals import ABOUT_ACCESS, ADVICE, Meaning, Refusal, find_refusal, meaning_of

_REQUEST_TIMEOUT: Final = 408
_TOO_MANY_REQUESTS: Final = 429
_CLIENT_ERROR: Final = range(400, 500)
#: By their definition the request was not processed, even if the body is not Routee's: wrong
#: address or method, too large, or misdirected (RFC 9110).
_NOT_PROCESSED: Final = frozenset({301, 307, 308, 404, 405, 413, 414, 415, 421, 429, 431})

_MAX_TEXT_CHARACTERS: Final = 2000
_MAX_CODE_CHARACTERS: Final = 64
_CODE: Final = re.compile(r"(\d{9})(?:\.0+)?")
_ERROR_CODE: Final = re.compile(r"\d{1,3}")
#: An errorCode in a text: after its name, after the nine digits, or at the beginning.
_ERROR_CODE_IN_TEXT: Final = re.compile(
    r"error.?code\W{0,4}(\d{3})(?!\d)|\b[45]\d{8}\s*[/:-]\s*(\d{3})(?!\d)|^\W*(0\d\d)(?!\d)",
    re.IGNORECASE,
)
_CODE_KEYS: Final = frozenset({"code", "errorCode"})
_FIELD_KEYS: Final = ("field", "property", "entity")
_REASON_KEYS: Final = ("developerMessage", "message")


def failure_of(answer: RouteeAnswer, *, purpose: str) -> RouteeRefused | RouteeUnavailable:
    """
    The exception for an *answer* that is not a 2xx.

    *purpose* is a verb phrase for messages.
    """
    payload = _payload(answer.body)
    definite = answer.status in _CLIENT_ERROR and answer.status not in {
        _REQUEST_TIMEOUT,
        _TOO_MANY_REQUESTS,
    }
    if definite and (payload or answer.status in ABOUT_ACCESS):
        return _refused(answer.status, payload)
    return RouteeUnavailable(
        f"Routee answered {answer.status} to the request to {purpose}.",
        http_status=answer.status,
        may_have_been_accepted=answer.status not in _NOT_PROCESSED,
        temporary=not definite and answer.status >= _CLIENT_ERROR.start,
        retry_after_seconds=retry_after_seconds(answer.headers),
    )


def _payload(body: bytes) -> dict[str, Any]:
    try:
        value = wire.parse(body)
    except wire.Unreadable:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}


def _refused(status: int, payload: Payload) -> RouteeRefused:
    errors = _errors(payload.get("errors"))
    properties = _properties(payload.get("properties"))
    message = _text(payload, *_REASON_KEYS, "error_description", "error")
    code = _first_code(payload, *errors)
    text = "\n".join(
        (
            message or "",
            *(f"{name} {text}" for name, text in properties.items()),
            *_messages(errors),
        )
    )
    error_code = _error_code(payload, properties, errors, text)
    refusal = find_refusal(code, error_code, text)
    meaning = meaning_of(refusal, status=status, text=text)
    return RouteeRefused(
        ADVICE[meaning],
        http_status=status,
        meaning=meaning,
        code=code,
        error_code=error_code,
        developer_message=message,
        properties=properties,
        faults=tuple(_faults(payload, properties, errors))
        or _fault_of_table(refusal, meaning, code, error_code),
    )


def _first_code(*payloads: Payload) -> str | None:
    for payload in payloads:
        found = reading.text(payload, "code", limit=_MAX_CODE_CHARACTERS)
        if found is not None:
            match = _CODE.fullmatch(found)
            return match[1] if match else found
    return None


def _error_code(
    payload: Payload, properties: Mapping[str, str], errors: list[Payload], text: str
) -> str | None:
    for source in (payload, properties, *errors):
        found = reading.text(source, "errorCode")
        if found is not None and _ERROR_CODE.fullmatch(found):
            return found.zfill(3)
    match = _ERROR_CODE_IN_TEXT.search(text)
    return next(filter(None, match.groups())) if match else None


def _properties(value: object) -> dict[str, str]:
    """The member `properties {field: text}`; a list of texts becomes one text."""
    if not isinstance(value, dict):
        return {}
    return {_shown(field): _shown(text) for field, text in value.items()}


def _errors(value: object) -> list[Payload]:
    """The member `errors[]`, whose items are objects or texts."""
    if not isinstance(value, list):
        return []
    items = [{"message": item} if isinstance(item, str) else item for item in value]
    return [item for item in items if isinstance(item, dict)]


def _messages(errors: list[Payload]) -> Iterator[str]:
    return (_text(error, *_REASON_KEYS) or "" for error in errors)


def _faults(
    payload: Payload, properties: Mapping[str, str], errors: list[Payload]
) -> Iterator[Fault]:
    code = _first_code(payload)
    error_code = _error_code(payload, properties, [], "")
    for name, text in properties.items():
        if name not in _CODE_KEYS:
            yield Fault(name, text, code, error_code)
    for error in errors:
        yield _fault(error, code, error_code)
    if _text(payload, "property") not in {None, *properties}:
        yield _fault(payload, code, error_code)


def _fault(payload: Payload, code: str | None, error_code: str | None) -> Fault:
    """The fault that *payload* describes, with the given codes where it has none."""
    return Fault(
        _text(payload, *_FIELD_KEYS) or "",
        _text(payload, *_REASON_KEYS) or "Routee gave no reason.",
        _first_code(payload) or code,
        _error_code(payload, {}, [], "") or error_code,
    )


def _fault_of_table(
    refusal: Refusal | None, meaning: Meaning, code: str | None, error_code: str | None
) -> tuple[Fault, ...]:
    if refusal is None or not refusal.field:
        return ()
    return (Fault(refusal.field, ADVICE[meaning], code, error_code),)


def _text(payload: Payload, *keys: str) -> str | None:
    found = reading.text(payload, *keys, limit=_MAX_TEXT_CHARACTERS)
    return None if found is None else mask_callback_urls(found)


def _shown(value: object) -> str:
    """Any value as text that callers may see, masked: Routee can quote our callback URLs."""
    text = reading.as_text(value, _MAX_TEXT_CHARACTERS)
    if text is None:
        text = wire.serialise(value).decode(errors="replace")[:_MAX_TEXT_CHARACTERS]
    return mask_callback_urls(text)
