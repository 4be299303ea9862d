"""
A real PostgreSQL in the data directory, run by the processes that use it.

`EmbeddedPostgres` is what other packages need, and a `Keeper` if they run for long. The first
process that uses the server starts it, and the last one stops it. After a crash, the next start
finds the server or recovers it.

Three lock files coordinate the processes. The kernel frees each of them when its holder dies.

    postgres.startup.lock   exclusive: a process that starts, joins or stops the server
    postgres.users.lock     shared: each user of the server, for as long as it lives
    postgres.server.lock    shared: every process of the server, which inherits its descriptor
"""

from app.embedded.keeper import Keeper
from app.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "Keeper"]
