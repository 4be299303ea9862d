"""Reading whole tables, or all rows of a campaign or a time, in one snapshot."""

from app.db.exports.snapshot import Reading, Records, Snapshot, snapshot_of
from app.db.exports.statements import ExportFilter, ExportTable

__all__ = ["ExportFilter", "ExportTable", "Reading", "Records", "Snapshot", "snapshot_of"]
