"""The pages of the dashboard, and what on them is asked for of a database that is loaded."""

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from tests.bench.scale_story import Plan, failure_reason, recipient_of
from tests.bench.visitor import Answer, Visitor

#: As in `scale_pages.sql`.
OF_MANY_NUMBERS: Final = "campaign-of-many-numbers"

Open = Callable[[Visitor], Awaitable[Answer]]


class Page(NamedTuple):
    """One page."""

    says: str
    #: What opens it, with the ids, of those that there are, that chance gives.
    chosen: Callable[[Plan, Random], Open]
    #: What the HTML of it has, unless it shows nothing.
    has: str = ""


def _fixed(path: str, **query: str) -> Callable[[Plan, Random], Open]:
    return lambda _plan, _rng: _at(path, **query)


def _at(path: str, **query: str) -> Open:
    address = f"{path}?{urlencode(query)}" if query else path
    return lambda visitor: visitor.get(address)


def _largest_campaign(plan: Plan, _rng: Random) -> Open:
    return _at(f"/ui/campaigns/{quote(plan.campaign_id(plan.campaigns - 1))}")


def _messages_of_campaign(plan: Plan, rng: Random) -> Open:
    return _at("/ui/messages", campaign=_any_campaign(plan, rng))


def _messages_of_largest_campaign(plan: Plan, _rng: Random) -> Open:
    return _at("/ui/messages", campaign=plan.campaign_id(plan.campaigns - 1), status="UNDELIVERED")


def _messages_of_campaign_and_status(plan: Plan, rng: Random) -> Open:
    return _at("/ui/messages", campaign=_any_campaign(plan, rng), status="UNDELIVERED")


def _messages_of_time(plan: Plan, rng: Random) -> Open:
    message = rng.randrange(plan.messages // 2)
    since, before = (plan.created_at(message + more) for more in (0, plan.messages // 4))
    return _at("/ui/messages", since=since.isoformat(), before=before.isoformat())


def _messages_of_label(plan: Plan, rng: Random) -> Open:
    return _at("/ui/messages", label=plan.campaign(rng.randrange(plan.campaigns)).label)


def _messages_of_country_and_reason(plan: Plan, rng: Random) -> Open:
    reason = failure_reason(rng.randrange(plan.campaigns))
    return _at("/ui/messages", country="GR", reason=reason)


def _message(plan: Plan, rng: Random) -> Open:
    return _at(f"/ui/messages/{quote(_any_message(plan, rng))}")


def _search_for_id(plan: Plan, rng: Random) -> Open:
    return _search(_any_message(plan, rng))


def _search_for_number(plan: Plan, rng: Random) -> Open:
    return _search(recipient_of(rng.randrange(plan.messages)))


def _search_for_campaign(plan: Plan, rng: Random) -> Open:
    return _search(plan.campaign(rng.randrange(plan.campaigns)).name)


def _search_for_nothing(_plan: Plan, rng: Random) -> Open:
    return _search(f"nothing has the name {rng.random()}")


def _search(words: str) -> Open:
    return lambda visitor: visitor.search(words)


def _any_campaign(plan: Plan, rng: Random) -> str:
    return plan.campaign_id(rng.randrange(plan.campaigns))


def _any_message(plan: Plan, rng: Random) -> str:
    return plan.message_id(rng.randrange(plan.messages))


#: Of links to messages, to campaigns.
_MESSAGES: Final = 'href="/ui/messages/'
_CAMPAIGNS: Final = 'href="/ui/campaigns/'

PAGES: Final[Mapping[str, Page]] = {
    "overview": Page("overview", _fixed("/ui/"), _CAMPAIGNS),
    "campaigns": Page("campaigns", _fixed("/ui/campaigns"), _CAMPAIGNS),
    "campaign": Page("the largest campaign", _largest_campaign, "<svg"),
    "campaign_awaited": Page(
        "a campaign just launched to 60,000 numbers", _fixed(f"/ui/campaigns/{OF_MANY_NUMBERS}")
    ),
    "messages": Page("messages", _fixed("/ui/messages"), _MESSAGES),
    "messages_of_time": Page("messages of a time", _messages_of_time),
    "messages_of_campaign": Page("messages of a campaign", _messages_of_campaign, _MESSAGES),
    "messages_of_status": Page(
        "messages of a campaign with a status", _messages_of_campaign_and_status, _MESSAGES
    ),
    "messages_of_largest": Page(
        "messages of the largest campaign with a status", _messages_of_largest_campaign, _MESSAGES
    ),
    "messages_of_label": Page("messages with a label", _messages_of_label, _MESSAGES),
    "messages_of_reason": Page(
        "messages of a country with a reason", _messages_of_country_and_reason
    ),
    "messages_of_none": Page(
        "messages with a status that none has", _fixed("/ui/messages", status="EXPIRED")
    ),
    "message": Page("message", _message, _CAMPAIGNS),
    "replies": Page("replies", _fixed("/ui/replies"), _MESSAGES),
    "quarantine": Page("quarantine", _fixed("/ui/quarantine"), 'href="/ui/quarantine/'),
    "statuses": Page("statuses", _fixed("/ui/statuses"), "UNDELIVERED"),
    "search_id": Page("search for a message's id", _search_for_id, _CAMPAIGNS),
    "search_number": Page("search for a number", _search_for_number),
    "search_campaign": Page("search for a campaign's name", _search_for_campaign, _CAMPAIGNS),
    "search_nothing": Page("search for what there is not", _search_for_nothing),
}
