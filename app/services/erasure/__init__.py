"""Erasing one recipient, and keeping the recipient erased."""
