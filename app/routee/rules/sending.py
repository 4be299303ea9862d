"""The only file that makes the body that is sent to Routee from the one that we were given."""

from collections.abc import Mapping


def sendable(
    request: Mapping[str, object], *, name: str, callback_url: str, inbound_url: str
) -> dict[str, object]:
    """
    The body to send for *request*, which has been examined and has no faults.

    The caller's URLs give way to ours. Nulls are left out: the examination took them for absent,
    and so Routee never gets to read them in another way.
    """
    return {
        **_without_nulls(request),
        "campaignName": name,
        "callbackUrl": callback_url,
        "inboundUrl": inbound_url,
    }


def _without_nulls(document: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if value is not None
    }
