"""
Payloads as they are stored: compressed with a dictionary, and exact to the byte once opened.

Each row has the number of its dictionary (0: plain). The dictionaries ship with the code, and the
table `payload_dictionaries` has them, too. A released one never changes and is never removed.
"""

from app.db.payloads.codec import PLAIN, compressed, opened

__all__ = ["PLAIN", "compressed", "opened"]
