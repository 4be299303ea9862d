"""Mechanisms that know nothing of this service."""
