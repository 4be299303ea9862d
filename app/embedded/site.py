"""The only file that puts together what every step needs to know about one embedded server."""

from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account, choose_account
from app.embedded.binaries import Binaries, find_binaries
from app.embedded.paths import Paths
from app.embedded.reachable_binaries import reachable_binaries
from app.embedded.sockets import socket_folder


@dataclass(frozen=True, slots=True)
class Site:
    """Whose server it is, what runs it, and where."""

    paths: Paths
    account: Account
    binaries: Binaries
    sockets: Path


def survey(paths: Paths) -> Site:
    """
    Look around, and copy the binaries if the account cannot reach them.

    Raises:
        ConfigurationError: something is missing or belongs to somebody else.
    """
    account = choose_account(paths)
    binaries = reachable_binaries(find_binaries(), account)
    return Site(paths, account, binaries, socket_folder(paths, account))
