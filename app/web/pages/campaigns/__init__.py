"""Campaigns: the list, one of them, and what a person can settle."""

from typing import Final

from app.domain.api_key import Scope
from app.web.pages.campaigns.as_csv import download
from app.web.pages.campaigns.listing import show_campaigns
from app.web.pages.campaigns.one import show_campaign
from app.web.pages.campaigns.settling import (
    ask_before_cancelling,
    ask_before_resolving,
    cancel_campaign,
    resolve_campaign,
)
from app.web.routes import PageRoute

ROUTES: Final = (
    PageRoute("/ui/campaigns", show_campaigns),
    PageRoute("/ui/campaigns/{id}", show_campaign),
    PageRoute("/ui/campaigns/{id}/csv", download),
    PageRoute("/ui/campaigns/{id}/resolve", ask_before_resolving, scope=Scope.ADMIN),
    PageRoute("/ui/campaigns/{id}/resolve", resolve_campaign, "POST", scope=Scope.ADMIN),
    PageRoute("/ui/campaigns/{id}/cancel", ask_before_cancelling, scope=Scope.CAMPAIGNS),
    PageRoute("/ui/campaigns/{id}/cancel", cancel_campaign, "POST", scope=Scope.CAMPAIGNS),
)
