"""The address of every page, in a scene where each has something to show."""

from collections.abc import Callable
from typing import Final

from tests.web.browser.scene import Scene

#: Of administrators, who see them all.
PAGES: Final[dict[str, Callable[[Scene], str]]] = {
    "shortcuts": lambda _: "/ui/shortcuts",
    "quarantine": lambda _: "/ui/quarantine",
    "quarantine-filtered": lambda _: "/ui/quarantine?reason=not-json&path=status",
    "quarantine-replay": lambda _: "/ui/quarantine/replay",
    "quarantined-body": lambda scene: f"/ui/quarantine/{scene.quarantined[1]}",
    "quarantined-body-in-hex": lambda scene: f"/ui/quarantine/{scene.quarantined[2]}?as=hex",
    "quarantined-body-replay": lambda scene: f"/ui/quarantine/{scene.quarantined[0]}/replay",
}
