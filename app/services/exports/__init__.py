"""Whole tables as CSV, NDJSON or Parquet."""
