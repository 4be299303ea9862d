"""The address of every page, in a scene where each has something to show."""

from collections.abc import Callable
from typing import Final

from tests.web.browser.scene import Scene

#: Of administrators, who see them all.
PAGES: Final[dict[str, Callable[[Scene], str]]] = {
    "overview": lambda _: "/ui/",
    "campaigns": lambda _: "/ui/campaigns",
    "campaigns-filtered": lambda _: "/ui/campaigns?label=spring&submission=launched",
    "campaigns-without-match": lambda _: "/ui/campaigns?name=nowhere",
    "campaign": lambda scene: f"/ui/campaigns/{scene.spring}",
    "campaign-scheduled": lambda scene: f"/ui/campaigns/{scene.scheduled}",
    "campaign-unconfirmed": lambda scene: f"/ui/campaigns/{scene.unconfirmed}",
    "campaign-cancel": lambda scene: f"/ui/campaigns/{scene.scheduled}/cancel",
    "campaign-resolve": lambda scene: f"/ui/campaigns/{scene.unconfirmed}/resolve",
    "messages": lambda _: "/ui/messages",
    "messages-filtered": lambda _: "/ui/messages?status=UNDELIVERED&status=FAILED&label=spring",
    "messages-to-a-number": lambda scene: f"/ui/messages?number_of={scene.undelivered}",
    "message-undelivered": lambda scene: f"/ui/messages/{scene.undelivered}",
    "message-seen": lambda scene: f"/ui/messages/{scene.messages['SEEN']}",
    "message-expired": lambda scene: f"/ui/messages/{scene.messages['EXPIRED']}",
    "message-unknown": lambda scene: f"/ui/messages/{scene.messages['UNKNOWN']}",
    "replies": lambda _: "/ui/replies",
    "statuses": lambda _: "/ui/statuses",
    "search": lambda _: "/ui/search?q=spring",
    "shortcuts": lambda _: "/ui/shortcuts",
    "quarantine": lambda _: "/ui/quarantine",
    "quarantine-filtered": lambda _: "/ui/quarantine?reason=not-json&path=status",
    "quarantine-replay": lambda _: "/ui/quarantine/replay",
    "quarantined-body": lambda scene: f"/ui/quarantine/{scene.quarantined[1]}",
    "quarantined-body-in-hex": lambda scene: f"/ui/quarantine/{scene.quarantined[2]}?as=hex",
    "quarantined-body-replay": lambda scene: f"/ui/quarantine/{scene.quarantined[0]}/replay",
}
