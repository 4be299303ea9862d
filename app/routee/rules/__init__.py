"""Routee's documented rules for a campaign request, checked before a launch costs money."""

from app.routee.rules.examination import Examination, examine
from app.routee.rules.findings import Caution, Findings
from app.routee.rules.names import generated_name, is_generated, sendable

__all__ = [
    "Caution",
    "Examination",
    "Findings",
    "examine",
    "generated_name",
    "is_generated",
    "sendable",
]
