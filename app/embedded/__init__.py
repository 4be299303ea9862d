"""
A real PostgreSQL in the data directory, run by the processes that use it.

`EmbeddedPostgres` is all that others need. The first process to come starts the server, the last
to leave stops it, and what was killed is found again or recovered by the next start.

Three lock files, each freed by the kernel when its holder dies, carry what must be known:

    postgres.startup.lock   exclusive: whoever looks, starts, joins or stops at the moment
    postgres.users.lock     shared: each user, for as long as it lives
    postgres.server.lock    shared: every process of the server itself, by an inherited descriptor
"""

from app.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
