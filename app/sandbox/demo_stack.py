"""The whole system on one machine: the service, a simulated Routee and a client."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from app.db.api_keys import add_api_key
from app.db.database import Database, migrate_database
from app.domain.api_key import Scope, digest, make_key
from app.embedded import EmbeddedPostgres
from app.main import build_app
from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.settings import Settings

_PREFERRED_PORT: Final = 8000
_APPLICATION_ID: Final = "demo-application"
_TIMEOUT_SECONDS: Final = 30.0
_PAGE_ITEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class DemoStack:
    """The running parts of the demo."""

    routee: SimulatedRoutee
    backend: "Backend"
    service_url: str
    api_key: str
    #: For the dashboard, with everything that it can show and do.
    dashboard_key: str


class Backend:
    """A client of the service's API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def launch(self, request: dict[str, Any]) -> dict[str, Any]:
        """Launch a campaign."""
        return _json(await self._client.post("/v1/campaigns", json=request))

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """The answer to a GET of *path*."""
        return _json(await self._client.get(path, params=parameters))

    async def all_items(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """All items of a list, read page by page."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, limit=_PAGE_ITEMS, **parameters, **cursor)
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            cursor = {"cursor": page["nextCursor"]}


@asynccontextmanager
async def running_stack(folder: Path, behaviour: Behaviour) -> AsyncIterator[DemoStack]:
    """Run everything while the block runs, with its data in *folder*."""
    async with EmbeddedPostgres(folder) as database_url:
        await migrate_database(database_url)
        api_key = await _new_key(database_url, "demo", Scope.READ, Scope.CAMPAIGNS)
        dashboard_key = await _new_key(database_url, "demo of the dashboard", *Scope)
        secret = secrets.token_urlsafe(32)
        routee = SimulatedRoutee(
            behaviour=behaviour, application_id=_APPLICATION_ID, application_secret=secret
        )
        routee_socket, service_socket = listening_socket(), listening_socket(_PREFERRED_PORT)
        settings = Settings(
            database_url=database_url,
            data_dir=folder,
            public_url=url_of(service_socket),
            callback_secrets=(SecretStr(secrets.token_urlsafe(32)),),
            signing_keys=(SecretStr(secrets.token_urlsafe(32)),),
            routee_api_url=url_of(routee_socket),
            routee_auth_url=url_of(routee_socket),
            routee_application_id=_APPLICATION_ID,
            routee_application_secret=SecretStr(secret),
        )
        async with (
            served(routee.app, routee_socket),
            served(build_app(settings), service_socket),
            httpx.AsyncClient(
                base_url=url_of(service_socket),
                headers={"Authorization": f"Bearer {api_key}"},
                timeout=_TIMEOUT_SECONDS,
            ) as client,
        ):
            url = url_of(service_socket)
            yield DemoStack(routee, Backend(client), url, api_key, dashboard_key)
            await routee.aclose()


async def _new_key(database_url: str, name: str, *scopes: Scope) -> str:
    key = make_key()
    database = Database(database_url, name="demo", pool_items=1)
    await add_api_key(
        database, name=name, sha256=digest(key), scopes=frozenset(scopes), expires_at=None
    )
    await database.close()
    return key


def _json(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer
