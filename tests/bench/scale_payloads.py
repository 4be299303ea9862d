"""The one place here that knows how bodies are stored."""

from app.db.payloads import compressed as stored_payload
from app.db.payloads import opened

__all__ = ["opened", "stored_payload"]
