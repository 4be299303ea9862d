"""The only file of the simulator that knows what it refuses (routee-contract, section 2)."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

from starlette.responses import JSONResponse

from app.sandbox.requests import CampaignRequest

#: The one sender id that no account has; every other one that is not empty is known.
UNKNOWN_SENDER_ID = "unknown-sender"

_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the provider's error table. Its code begins with the HTTP status."""

    code: str
    message: str
    error_code: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status, the first three digits of the code."""
        return int(self.code[:3])

    def answer(self, detail: str | None = None) -> JSONResponse:
        """The refusal as an HTTP answer; *detail* says it for this very request."""
        document = {"code": self.code, "developerMessage": detail or self.message}
        if self.error_code:
            document["errorCode"] = self.error_code
        return JSONResponse(document, status_code=self.status)


@dataclass(frozen=True, slots=True)
class Account:
    """What the account looks like when a request comes in."""

    campaign_names: Collection[str]
    balance: Decimal


UNREADABLE = Refusal("400000000", "The request could not be read")
BAD_RECIPIENT = Refusal("400019002", "A recipient is malformed", "001")
BALANCE_TOO_LOW = Refusal("400001009", "The balance is too low")
UNKNOWN_SENDER = Refusal("404020001", "The sender id is not correct")
NAME_IN_USE = Refusal("409009003", "The account has a campaign of that name")
NOT_SCHEDULED = Refusal("400009002", "The campaign is no longer scheduled")
NO_CAMPAIGN = Refusal("404009001", "The campaign was not found")
#: The provider's code for this is not known.
NO_MESSAGE = Refusal("404000000", "The message was not found")


def _has_bad_recipient(request: CampaignRequest, _: Account) -> bool:
    return any(not _E164.fullmatch(number) for number in request.to)


def _has_unknown_sender(request: CampaignRequest, _: Account) -> bool:
    return request.sender_id in {None, "", UNKNOWN_SENDER_ID}


def _has_name_in_use(request: CampaignRequest, account: Account) -> bool:
    return request.name is not None and request.name in account.campaign_names


def _costs_too_much(request: CampaignRequest, account: Account) -> bool:
    return request.cost > account.balance


#: Tried in this order; the first that holds is answered.
_RULES: tuple[tuple[Callable[[CampaignRequest, Account], bool], Refusal], ...] = (
    (_has_bad_recipient, BAD_RECIPIENT),
    (_has_unknown_sender, UNKNOWN_SENDER),
    (_has_name_in_use, NAME_IN_USE),
    (_costs_too_much, BALANCE_TOO_LOW),
)


def find_refusal(request: CampaignRequest, account: Account) -> Refusal | None:
    """Why *request* is refused, or None if it is accepted."""
    return next((refusal for holds, refusal in _RULES if holds(request, account)), None)
