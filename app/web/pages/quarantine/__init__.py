"""The quarantine: what could not be stored as a callback, and replaying it."""

from typing import Final

from app.domain.api_key import Scope
from app.web.pages.quarantine.body import show_body
from app.web.pages.quarantine.listing import show_quarantine
from app.web.pages.quarantine.replays import (
    ask_before_replaying,
    ask_before_replaying_all,
    replay,
    replay_all,
)
from app.web.routes import PageRoute

ROUTES: Final = (
    PageRoute("/ui/quarantine", show_quarantine, scope=Scope.ADMIN),
    PageRoute("/ui/quarantine/replay", ask_before_replaying_all, scope=Scope.ADMIN),
    PageRoute("/ui/quarantine/replay", replay_all, "POST", scope=Scope.ADMIN),
    PageRoute("/ui/quarantine/{id}", show_body, scope=Scope.ADMIN),
    PageRoute("/ui/quarantine/{id}/replay", ask_before_replaying, scope=Scope.ADMIN),
    PageRoute("/ui/quarantine/{id}/replay", replay, "POST", scope=Scope.ADMIN),
)
