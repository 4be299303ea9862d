"""A look at the media of a campaign, at their hosts, before the campaign is paid for."""

from app.routee.preflight.media import preflight
from app.routee.preflight.prober import Prober

__all__ = ["Prober", "preflight"]
