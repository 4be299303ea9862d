"""Erasing one recipient, and pseudonymising what still comes of it."""
