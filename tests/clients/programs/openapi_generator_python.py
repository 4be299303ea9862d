"""Uses the client that openapi-generator made, and prints what it was told as one line of JSON."""

import json
import os
from typing import Any

from receiver_client import (
    ApiClient,
    CampaignBody,
    CampaignRequest,
    CampaignsApi,
    CampaignStatus,
    Configuration,
    EventsApi,
    Lookup,
    MessagesApi,
    MessageStatus,
    StatusApi,
)
from receiver_client.exceptions import NotFoundException

MESSAGE = os.environ["MESSAGE_ID"]


def launch(client: ApiClient) -> tuple[str, dict[str, Any]]:
    request = CampaignRequest(
        senderInfoTrackingId="sender-1",
        to=["+306945000001", "+306945000002"],
        body=CampaignBody(text="Our spring collection is here."),
    )
    campaign = CampaignsApi(client).launch_campaign(request)
    return str(campaign.id), {"submission": campaign.submission.value, "cost": campaign.cost}


def look_up(client: ApiClient) -> dict[str, Any]:
    answer = MessagesApi(client).look_up_messages(Lookup(trackingIds=[MESSAGE, "nothing"]))
    return {
        "found": [message.tracking_id for message in answer.items],
        "notFound": answer.not_found,
        "price": answer.items[0].price,
    }


def status(client: ApiClient, campaign_id: str) -> dict[str, Any]:
    message = StatusApi(client).get_status(MESSAGE).actual_instance
    assert isinstance(message, MessageStatus)
    campaign = StatusApi(client).get_status(campaign_id).actual_instance
    assert isinstance(campaign, CampaignStatus)
    return {"messageStatus": message.status.value, "campaignState": campaign.state}


def listed(client: ApiClient, campaign_id: str) -> dict[str, Any]:
    messages = CampaignsApi(client).list_campaign_messages(campaign_id)
    campaigns = CampaignsApi(client).list_campaigns(limit=1)
    return {
        "listed": [message.status for message in messages.items],
        "campaigns": len(campaigns.items),
    }


def follow(client: ApiClient) -> dict[str, Any]:
    """Read the feed to its end, and then wait for one more item."""
    types: set[str] = set()
    cursor = "beginning"
    while True:
        page = EventsApi(client).list_events(after=cursor)
        cursor = page.next_cursor
        types |= {item.type for item in page.items}
        if len(page.items) < 100:
            break
    while not (page := EventsApi(client).list_events(after=cursor, wait=20)).items:
        cursor = page.next_cursor
    return {"types": sorted(types), "awaited": page.items[0].type}


def problem(client: ApiClient) -> dict[str, Any]:
    try:
        MessagesApi(client).get_message("nothing")
    except NotFoundException as error:
        return {"problem": error.data.type}
    return {}


configuration = Configuration(
    host=os.environ["RECEIVER_URL"], access_token=os.environ["RECEIVER_KEY"]
)
with ApiClient(configuration) as api:
    own_id, told = launch(api)
    told |= look_up(api) | status(api, own_id) | listed(api, own_id) | follow(api) | problem(api)
print(json.dumps(told))
