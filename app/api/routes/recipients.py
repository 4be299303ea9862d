"""Recipients: erasing one of them."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import WithJsonSchema

from app.api.parts import Admin, PartsDep, decoded_id
from app.api.wire import Instant, Wire
from app.errors import Fault, InvalidRequest

#: Stricter than the command line: a program sends the number as it was stored.
_PATTERN: Final = r"^\+?[0-9]{6,15}$"

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
        Path(description="Telephone number with the country code, with or without its +."),
        WithJsonSchema({"type": "string", "pattern": _PATTERN}),
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
    wanted = decoded_id(number)
    if not re.fullmatch(_PATTERN, wanted, re.ASCII) or wanted.endswith("\n"):
        raise InvalidRequest(
            faults=(Fault("number", "must be a telephone number of 6 to 15 digits"),)
        )
    erasure = await parts.erasing.erase(wanted, asked_by=f"API key {caller.name} ({caller.id})")
    return ErasureOut(
        erased_at=erasure.erased_at, erased_before=erasure.is_repeated, rows=erasure.rows
    )
