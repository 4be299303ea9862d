"""
Removing what was received too long ago, in steps that hold no lock for long.

Every step is a transaction of its own that takes only what nobody else holds, and records the
greatest place that it removes as the floor of the feed.
"""

from app.db.retention.connections import alone, reading_whole_tables, sweeping
from app.db.retention.messages import blocks_of_messages, remove_messages
from app.db.retention.months import add_months, empty_old_months
from app.db.retention.quarantine import remove_quarantined
from app.db.retention.runs import folded_position, note_horizons, note_run, ran_within
from app.db.retention.survey import Survey, survey
from app.db.retention.walks import EVENTS, RAW, RAW_INBOUND, REPLIES, Step, Walk, walk_on

__all__ = [
    "EVENTS",
    "RAW",
    "RAW_INBOUND",
    "REPLIES",
    "Step",
    "Survey",
    "Walk",
    "add_months",
    "alone",
    "blocks_of_messages",
    "empty_old_months",
    "folded_position",
    "note_horizons",
    "note_run",
    "ran_within",
    "reading_whole_tables",
    "remove_messages",
    "remove_quarantined",
    "survey",
    "sweeping",
    "walk_on",
]
