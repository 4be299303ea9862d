"""Uses the client that openapi-python-client made, and prints what it was told as JSON."""

import json
import os
from typing import Any

from routee_receiver_client import AuthenticatedClient
from routee_receiver_client.api.campaigns import (
    launch_campaign,
    list_campaign_messages,
    list_campaigns,
)
from routee_receiver_client.api.events import list_events
from routee_receiver_client.api.messages import get_message, look_up_messages
from routee_receiver_client.api.status import get_status
from routee_receiver_client.models import (
    Campaign,
    CampaignBody,
    CampaignMessages,
    CampaignRequest,
    CampaignStatus,
    CampaignSummaryPage,
    FeedPage,
    Lookup,
    LookupAnswer,
    MessageStatus,
    Problem,
)

MESSAGE = os.environ["MESSAGE_ID"]


def launch(client: AuthenticatedClient) -> tuple[str, dict[str, Any]]:
    request = CampaignRequest(
        sender_info_tracking_id="sender-1",
        to=["+306945000001", "+306945000002"],
        body=CampaignBody(text="Our spring collection is here."),
    )
    campaign = launch_campaign.sync(client=client, body=request)
    assert isinstance(campaign, Campaign)
    return str(campaign.id), {"submission": campaign.submission.value, "cost": campaign.cost}


def look_up(client: AuthenticatedClient) -> dict[str, Any]:
    wanted = Lookup(tracking_ids=[MESSAGE, "nothing"])
    answer = look_up_messages.sync(client=client, body=wanted)
    assert isinstance(answer, LookupAnswer)
    return {
        "found": [message.tracking_id for message in answer.items],
        "notFound": answer.not_found,
        "price": answer.items[0].price,
    }


def status(client: AuthenticatedClient, campaign_id: str) -> dict[str, Any]:
    message = get_status.sync(MESSAGE, client=client)
    assert isinstance(message, MessageStatus)
    campaign = get_status.sync(campaign_id, client=client)
    assert isinstance(campaign, CampaignStatus)
    return {"messageStatus": message.status.value, "campaignState": campaign.state}


def listed(client: AuthenticatedClient, campaign_id: str) -> dict[str, Any]:
    messages = list_campaign_messages.sync(campaign_id, client=client)
    assert isinstance(messages, CampaignMessages)
    campaigns = list_campaigns.sync(client=client, limit=1)
    assert isinstance(campaigns, CampaignSummaryPage)
    return {
        "listed": [message.status.value for message in messages.items],
        "campaigns": len(campaigns.items),
    }


def feed(client: AuthenticatedClient, after: str, wait: float) -> FeedPage:
    page = list_events.sync(client=client, after=after, wait=wait)
    assert isinstance(page, FeedPage)
    return page


def follow(client: AuthenticatedClient) -> dict[str, Any]:
    """Read the feed to its end, and then wait for one more item."""
    types: set[str] = set()
    cursor = "beginning"
    while True:
        page = feed(client, cursor, 0)
        cursor = page.next_cursor
        types |= {item.type_ for item in page.items}
        if len(page.items) < 100:
            break
    while not (page := feed(client, cursor, 20)).items:
        cursor = page.next_cursor
    return {"types": sorted(types), "awaited": page.items[0].type_}


def problem(client: AuthenticatedClient) -> dict[str, Any]:
    answer = get_message.sync("nothing", client=client)
    assert isinstance(answer, Problem)
    return {"problem": answer.type_}


with AuthenticatedClient(
    base_url=os.environ["RECEIVER_URL"], token=os.environ["RECEIVER_KEY"], timeout=60
) as api:
    own_id, told = launch(api)
    told |= look_up(api) | status(api, own_id) | listed(api, own_id) | follow(api) | problem(api)
print(json.dumps(told))
