"""Password verifiers, so that no password is sent to a server or written to its log."""

import hashlib
import hmac
import os
from base64 import b64encode
from typing import Final

_ITERATIONS: Final = 4096
_SALT_BYTES: Final = 16


def make_verifier(password: str) -> str:
    """
    PostgreSQL's verifier of an ASCII *password* (SCRAM-SHA-256, RFC 5803), with a new salt.

    PostgreSQL accepts a verifier wherever it accepts a password to store.
    """
    salt = os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return (
        f"SCRAM-SHA-256${_ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"
    )


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")
