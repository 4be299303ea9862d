"""Launches and what binds callbacks to them, in SQL."""
