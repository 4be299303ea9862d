"""What the pages need of the service, built once by `main`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.db.database import Database
from app.domain.api_key import Scope
from app.domain.masking import SecretMask
from app.routee.client import RouteeClient
from app.services.keyring import Keyring
from app.services.quarantine import Replays
from app.services.readiness import Readiness
from app.web.failures import SignInFailures
from app.web.proxies import Proxies
from app.web.sessions import Sessions
from app.web.static_files import StaticFiles


@dataclass(frozen=True, slots=True)
class PageParts:
    """Everything that pages need."""

    #: The primary: keys, and what must be read as just written.
    database: Database
    #: The pages' own small pool, with a short limit for statements; perhaps of a replica.
    reads: Database
    keyring: Keyring
    #: For cancelling campaigns.
    routee: RouteeClient
    #: Of the quarantine.
    replays: Replays
    readiness: Readiness
    #: Of our secrets.
    mask: SecretMask
    sessions: Sessions
    failures: SignInFailures
    files: StaticFiles
    proxies: Proxies
    #: Of people whom a trusted proxy has signed in.
    scopes_of_persons: frozenset[Scope]
    #: Whether this process receives callbacks as well.
    receives_callbacks: bool
    #: Of the Routee account, such as EUR; empty if it is not known.
    currency: str
    #: Gives the moment, in UTC.
    clock: Callable[[], datetime]
