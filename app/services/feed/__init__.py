"""Serving the feed to clients that poll it or wait for its next item."""
