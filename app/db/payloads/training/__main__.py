"""Writes the newest dictionary anew: `python -m app.db.payloads.training FILE`."""

import sys
from pathlib import Path

from app.db.payloads.training.train import trained

Path(sys.argv[1]).write_bytes(trained())
