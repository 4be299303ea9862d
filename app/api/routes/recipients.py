"""Recipients: erasing one of them, how far an erasure is, and how the feed will announce it."""

import asyncio
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field, WithJsonSchema

from app.api.parts import (
    MAX_LIMIT,
    Admin,
    PartsDep,
    Reader,
    SafeText,
    decoded_id,
    json_body,
    json_request,
    validated,
)
from app.api.wire import Instant, Wire
from app.db.erasure.erasures import AskedErasure, find_erasure
from app.domain.masking import mask_number
from app.domain.phone_number import MAX_SPELLING_CHARACTERS
from app.errors import NotFound

router = APIRouter(tags=["recipients"])


class ErasureState(StrEnum):
    """What becomes of an erasure that was asked for."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class ErasureOut(Wire):
    """An erasure that was asked for."""

    id: str
    state: ErasureState
    number: str | None
    asked_at: Instant
    began_at: Instant | None
    ended_at: Instant | None
    erased_before: bool
    progress: str | None
    rows: dict[str, int]


class RecipientNumbers(Wire):
    """Telephone numbers in any spelling, with their country codes."""

    numbers: list[SafeText] = Field(min_length=1, max_length=MAX_LIMIT)


class RecipientKey(Wire):
    """What the feed will call a number when it is erased."""

    number: str
    recipient_key: str


class RecipientKeysOut(Wire):
    """The keys, in the order of the request."""

    items: list[RecipientKey]


@router.post(
    "/v1/recipients/keys",
    summary="What the feed will call numbers when they are erased",
    openapi_extra=json_request(RecipientNumbers.model_json_schema()),
)
async def get_recipient_keys(
    parts: PartsDep,
    _: Reader,  # before the body: only a caller with the scope may send one
    body: Annotated[object, Depends(json_body)],
) -> RecipientKeysOut:
    """
    For a backend that keeps telephone numbers: keep the `recipientKey` with each number.

    When a recipient is erased, the feed has an item `recipient.erased` with that key and no number:
    then erase the number where it was copied to. The key says nothing to who does not know it.
    """
    numbers = validated(RecipientNumbers, body).numbers
    keys = await asyncio.to_thread(parts.erasing.recipient_keys, numbers)
    return RecipientKeysOut(
        items=[
            RecipientKey(number=number, recipient_key=key)
            for number, key in zip(numbers, keys, strict=True)
        ]
    )


@router.delete(
    "/v1/recipients/{number}",
    summary="Erase a recipient",
    status_code=HTTPStatus.ACCEPTED,
)
async def erase_recipient(
    number: Annotated[
        str,
        Path(description="Telephone number with the country code, in any spelling."),
        WithJsonSchema({"type": "string", "minLength": 3, "maxLength": MAX_SPELLING_CHARACTERS}),
    ],
    parts: PartsDep,
    caller: Admin,
    response: Response,
) -> ErasureOut:
    """
    Ask for a recipient to be pseudonymised: number, texts and payloads, wherever they are stored.

    From the answer on, callbacks are pseudonymised before they are stored, and campaigns to the
    number are refused. What is stored is searched afterwards, which takes seconds, or minutes in a
    large database: `Location` is where its progress can be read. The rows stay under a pseudonym,
    so counts do not change. Repeating it is harmless. `routee-receiver erase` does the same, waits,
    and lifts an erasure.
    """
    asked_by = f"API key {caller.name} ({caller.id})"
    asked = await parts.erasing.ask(parts.database, decoded_id(number), asked_by=asked_by)
    response.headers["Location"] = f"/v1/erasures/{asked.id}"
    return _erasure_out(asked)


@router.get("/v1/erasures/{id}", summary="How far an erasure is")
async def get_erasure(
    erasure_id: Annotated[
        str, Path(alias="id", description="The `id` in the answer to the request.")
    ],
    parts: PartsDep,
    _: Admin,
) -> ErasureOut:
    """
    The state of an erasure that was asked for.

    One erasure runs at a time; one that is interrupted is resumed by any process. `number` has only
    the last digits, and is null at the end: then nothing says any more who was erased.
    """
    try:
        wanted = UUID(erasure_id)
    except ValueError:
        raise NotFound(f"There is no erasure {erasure_id!r}.") from None
    asked = await find_erasure(parts.database, wanted)
    if asked is None:
        raise NotFound(f"There is no erasure {erasure_id!r}.")
    return _erasure_out(asked)


def _erasure_out(asked: AskedErasure) -> ErasureOut:
    return ErasureOut(
        id=str(asked.id),
        state=_state(asked),
        number=None if asked.digits is None else mask_number(asked.digits),
        asked_at=asked.asked_at,
        began_at=asked.began_at,
        ended_at=asked.ended_at,
        erased_before=asked.was_erased,
        progress=asked.progress,
        rows=asked.counts,
    )


def _state(asked: AskedErasure) -> ErasureState:
    if asked.ended_at is not None:
        return ErasureState.DONE
    return ErasureState.WAITING if asked.began_at is None else ErasureState.RUNNING
