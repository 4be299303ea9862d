import re

from .stage import staged

#: The examples of routee-contract, sections 3 and 4: every name, nested ones after a dot.
STATUS_NAMES = {
    *("trackingId", "campaignTrackingId", "to", "from", "groups", "country", "status"),
    *("status.name", "status.reason", "status.updatedDate", "body", "body.text", "body.imageURL"),
    *("status.reason.detailedStatus", "status.reason.description"),
    *("body.viberAction", "body.viberAction.caption", "body.viberAction.targetUrl"),
    *("ttl", "label", "inboundUrl", "applicationName", "price", "direction"),
    *("originatingService", "createdAt"),
}
INBOUND_NAMES = {
    *("from", "to", "message", "sentDate", "campaignName", "campaignTrackingId"),
    *("referenceTrackingId", "direction", "media", "filename", "label"),
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def names_in(document: dict[str, object], prefix: str = "") -> set[str]:
    names = {prefix + name for name in document}
    for name, value in document.items():
        if isinstance(value, dict):
            names |= names_in(value, f"{prefix}{name}.")
    return names


async def test_a_status_callback_has_exactly_the_documented_names_and_kinds() -> None:
    async with staged() as stage:
        campaign = await stage.launched(100)
        await stage.drained()

        delivered = next(
            received.document
            for received in stage.receiver.statuses
            if received.document["status"]["name"] == "DELIVERED"
        )
        message = campaign.messages[delivered["trackingId"]]
        assert names_in(delivered) == STATUS_NAMES
        assert delivered["campaignTrackingId"] == campaign.tracking_id
        assert delivered["to"] == message.to
        assert delivered["country"] == "GR"
        assert delivered["status"]["reason"]["detailedStatus"] == "Delivered"
        assert INSTANT.fullmatch(delivered["status"]["updatedDate"])
        assert INSTANT.fullmatch(delivered["createdAt"])
        assert delivered["body"]["text"] == "Καλημέρα friend"
        assert delivered["body"]["viberAction"]["caption"] == "Go"
        assert delivered["price"] == 0.035
        assert delivered["ttl"] == 300
        assert delivered["label"] == "a label"
        assert delivered["inboundUrl"] == f"{stage.origin}/inbound"
        assert delivered["direction"] == "Outbound"


async def test_every_status_callback_has_the_same_top_level_names() -> None:
    top_level = {name for name in STATUS_NAMES if "." not in name}
    async with staged() as stage:
        await stage.launched(100)
        await stage.drained()

        assert {frozenset(received.document) for received in stage.receiver.statuses} == {
            frozenset(top_level)
        }
        assert {received.content_type for received in stage.receiver.received} == {
            "application/json"
        }


async def test_an_inbound_callback_answers_a_message_in_the_documented_names() -> None:
    async with staged() as stage:
        campaign = await stage.launched(100)
        await stage.drained()

        assert stage.receiver.inbound
        for received in stage.receiver.inbound:
            reply = received.document
            assert set(reply) == INBOUND_NAMES
            assert reply["from"] == campaign.messages[reply["referenceTrackingId"]].to
            assert reply["campaignTrackingId"] == campaign.tracking_id
            assert reply["campaignName"] == "Spring sale"
            assert reply["direction"] == "Inbound"
            assert INSTANT.fullmatch(reply["sentDate"])


async def test_callbacks_of_group_members_name_their_group() -> None:
    async with staged() as stage:
        await stage.launched(to=[], groups=["customers"])
        await stage.drained()

        assert {received.document["groups"][0] for received in stage.receiver.statuses} == {
            "customers"
        }
