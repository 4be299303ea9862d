"""
Payloads as they are stored: compressed with a dictionary, and exact to the byte once opened.

A row says with which dictionary (0: plain). The dictionaries ship with the code and stand in the
table `payload_dictionaries`; one that was released never changes and is never removed.
"""

from app.db.payloads.codec import compressed, opened
from app.db.payloads.dictionaries import PLAIN

__all__ = ["PLAIN", "compressed", "opened"]
