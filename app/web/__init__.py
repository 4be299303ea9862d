"""The dashboard: pages for people, below `/ui/`."""
