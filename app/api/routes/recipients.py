"""Recipients: erasing one of them."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import WithJsonSchema

from app.api.parts import Admin, PartsDep, decoded_id
from app.api.wire import Instant, Wire
from app.domain.phone_number import MAX_SPELLING_CHARACTERS

router = APIRouter(prefix="/v1/recipients", tags=["recipients"])


class ErasureOut(Wire):
    """The result of an erasure."""

    erased_at: Instant
    erased_before: bool
    rows: dict[str, int]


@router.delete("/{number}", summary="Erase a recipient")
async def erase_recipient(
    number: Annotated[
        str,
        Path(description="Telephone number with the country code, in any spelling."),
        WithJsonSchema({"type": "string", "minLength": 3, "maxLength": MAX_SPELLING_CHARACTERS}),
    ],
    parts: PartsDep,
    caller: Admin,
) -> ErasureOut:
    """
    Pseudonymise a recipient: number, texts and payloads are removed wherever they are stored.

    The rows stay under a pseudonym, so counts do not change. Later callbacks are pseudonymised
    before they are stored, and campaigns to the number are refused. All tables are scanned, which
    takes seconds, or minutes in a large database; repeating it is harmless. `routee-receiver erase`
    does the same with progress, and lifts an erasure.
    """
    asked_by = f"API key {caller.name} ({caller.id})"
    erasure = await parts.erasing.erase(decoded_id(number), asked_by=asked_by)
    return ErasureOut(
        erased_at=erasure.erased_at, erased_before=erasure.is_repeated, rows=erasure.rows
    )
