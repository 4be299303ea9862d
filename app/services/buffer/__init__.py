"""Storing what the buffer holds, and measuring how far behind that is."""
