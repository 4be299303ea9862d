"""What a rebuild finds: projections that are not what the stored events say."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from app.domain.masking import mask_number, mask_numbers

#: Columns that may quote a telephone number. Others are ids, words of ours, times and numbers.
_TEXTS: Final = frozenset(
    {
        "status_key", "provider_status", "detailed_status", "description", "sender", "country",
        "label",
    }
)  # fmt: skip


class Projection(StrEnum):
    """What is derived from the events."""

    MESSAGES = "messages"
    #: Of campaigns, by status.
    COUNTS = "counts"
    #: What each message was counted as by the roll-ups.
    COUNTED_MESSAGES = "counted messages"
    HOURS = "events by hour"
    CAMPAIGN_TIMES = "times of campaigns"
    DAYS = "messages by day"
    FAILURES = "failures"
    DURATIONS = "durations"
    SPENDS = "prices"


class Difference(NamedTuple):
    """One value that is not what the events say."""

    projection: Projection
    #: The columns that name the row: the message, or what a sum is of.
    key: Mapping[str, object]
    #: The column, or of messages `missing` for a row that is missing and `without events` for one
    #: of which no event is stored although none was removed; both with the status.
    column: str
    #: As text; None for a null, or where there is no row.
    stored: str | None
    expected: str | None

    @property
    def masked(self) -> "Difference":
        """The same with only the last three digits of telephone numbers."""
        return self._replace(
            key={name: _masked(name, value) for name, value in self.key.items()},
            stored=_masked_text(self.column, self.stored),
            expected=_masked_text(self.column, self.expected),
        )


def _masked(column: str, value: object) -> object:
    return _masked_text(column, value) if isinstance(value, str) else value


def _masked_text(column: str, value: str | None) -> str | None:
    if value is None:
        return None
    if column == "recipient":
        return mask_number(value)
    return mask_numbers(value) if column in _TEXTS else value
