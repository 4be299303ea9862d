"""Reading whole tables, or all of one campaign or time, as they were at one moment."""

from app.db.exports.snapshot import Reading, Records, Snapshot, snapshot_of
from app.db.exports.statements import ExportFilter, ExportTable

__all__ = ["ExportFilter", "ExportTable", "Reading", "Records", "Snapshot", "snapshot_of"]
