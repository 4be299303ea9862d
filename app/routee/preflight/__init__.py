"""Checks that the media of a campaign can be fetched, before the launch costs money."""

from app.routee.preflight.media import preflight
from app.routee.preflight.prober import Prober

__all__ = ["Prober", "preflight"]
