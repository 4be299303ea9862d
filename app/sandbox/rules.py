"""The rules by which the simulated Routee refuses a campaign (routee-contract, section 2)."""

import re
from collections.abc import Callable

from app.sandbox import refusals
from app.sandbox.account import SimulatedAccount
from app.sandbox.body_rules import BODY_RULES
from app.sandbox.refusals import ErrorRow
from app.sandbox.requests import CampaignRequest, Part

#: The one unknown sender id; every other non-empty id is known.
UNKNOWN_SENDER_ID = "unknown-sender"

#: The one unknown contact id; every other id is known.
UNKNOWN_CONTACT_ID = "unknown-contact"

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9 -]{2,30}")
_TTL_SECONDS = range(30, 86400 + 1)
_LABEL_CHARACTERS = 350
_RECIPIENT_ITEMS = 1000

_SESSION_KINDS = frozenset({frozenset({part}) for part in (Part.TEXT, Part.IMAGE, Part.FILE)})


def find_refusal(request: CampaignRequest, account: SimulatedAccount) -> ErrorRow | None:
    """Why *request* is refused, or None if it is accepted."""
    of_request = (refusal for breaks, refusal in _REQUEST_RULES if breaks(request))
    of_body = (refusal for breaks, refusal in BODY_RULES if breaks(request.body))
    of_account = (refusal for breaks, refusal in _ACCOUNT_RULES if breaks(request, account))
    return next(of_request, None) or next(of_body, None) or next(of_account, None)


def _has_bad_name(request: CampaignRequest) -> bool:
    return request.name is not None and not _NAME.fullmatch(request.name)


def _has_too_few_or_many_recipients(request: CampaignRequest) -> bool:
    counts = [len(request.to), len(request.contacts), len(request.groups)]
    return not any(counts) or max(counts) > _RECIPIENT_ITEMS


def _has_bad_recipient(request: CampaignRequest) -> bool:
    return any(not _E164.fullmatch(number) for number in request.to)


def _has_bad_ttl(request: CampaignRequest) -> bool:
    return request.ttl_seconds is not None and request.ttl_seconds not in _TTL_SECONDS


def _has_bad_label(request: CampaignRequest) -> bool:
    return len(request.label or "") > _LABEL_CHARACTERS


def _has_unknown_contact(request: CampaignRequest) -> bool:
    return UNKNOWN_CONTACT_ID in request.contacts


def _has_unknown_sender(request: CampaignRequest) -> bool:
    return request.sender_id in {None, "", UNKNOWN_SENDER_ID}


def _is_session_with_video(request: CampaignRequest) -> bool:
    return request.is_session_message and Part.VIDEO in request.body.parts


def _is_session_of_another_kind(request: CampaignRequest) -> bool:
    return request.is_session_message and request.body.parts not in _SESSION_KINDS


def _has_name_in_use(request: CampaignRequest, account: SimulatedAccount) -> bool:
    return account.has_campaign_named(request.name)


def _costs_too_much(request: CampaignRequest, account: SimulatedAccount) -> bool:
    return request.cost > account.balance


#: The request is checked first, then its body, then the account. The first rule that is broken
#: decides the answer.
_REQUEST_RULES: tuple[tuple[Callable[[CampaignRequest], bool], ErrorRow], ...] = (
    (_has_bad_name, refusals.BAD_NAME),
    (_has_too_few_or_many_recipients, refusals.BAD_RECIPIENTS),
    (_has_bad_recipient, refusals.BAD_RECIPIENT),
    (_has_bad_ttl, refusals.BAD_TTL),
    (_has_bad_label, refusals.BAD_LABEL),
    (_has_unknown_contact, refusals.UNKNOWN_CONTACT),
    (_has_unknown_sender, refusals.UNKNOWN_SENDER),
    (_is_session_with_video, refusals.VIDEO_IN_SESSION),
    (_is_session_of_another_kind, refusals.BAD_SESSION_KIND),
)

_ACCOUNT_RULES: tuple[tuple[Callable[[CampaignRequest, SimulatedAccount], bool], ErrorRow], ...] = (
    (_has_name_in_use, refusals.NAME_IN_USE),
    (_costs_too_much, refusals.BALANCE_TOO_LOW),
)
