"""Launching campaigns, and settling launches whose outcome is not known."""
