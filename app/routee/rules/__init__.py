"""Every rule that Routee documents for a campaign request, checked before money is spent."""

from app.routee.rules.examination import Examination, examine
from app.routee.rules.findings import Caution, Findings
from app.routee.rules.names import generated_name, is_generated
from app.routee.rules.sending import sendable

__all__ = [
    "Caution",
    "Examination",
    "Findings",
    "examine",
    "generated_name",
    "is_generated",
    "sendable",
]
