"""`routee-receiver api-key`: the API keys of backends."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from app.cli.listing import AsJson, show_rows
from app.cli.running import run_with_database, say
from app.db.api_keys import add_api_key, all_api_keys, api_keys_named, revoke_api_key
from app.db.database import Database
from app.domain.api_key import ApiKey, Scope, digest, make_key

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Who uses the key, for people to read.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            help="What the key allows; repeatable. read: all reads. pii: with read, telephone "
            "numbers in full on the dashboard. campaigns: launching and cancelling. admin: "
            "everything. Without it: read."
        ),
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, help="After how many days it expires. Without it: never.")
    ] = None,
) -> None:
    """
    Make a key. It is the last line of the output, and only its digest is stored.

    Example: routee-receiver api-key create --name billing --scope read --scope campaigns
    """
    key = make_key()
    scopes = frozenset(scope or [Scope.READ])
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    key_id = run_with_database(
        lambda database: add_api_key(
            database, name=name, sha256=digest(key), scopes=scopes, expires_at=expires_at
        )
    )
    say(f"Key {key_id} for {name!r} with scope {', '.join(sorted(scopes))}. It is shown only once:")
    typer.echo(key)


@app.command(name="list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List all keys, the revoked and the expired ones included, the oldest first."""
    now = datetime.now(UTC)
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created": key.created_at,
            "expires": key.expires_at,
            "lastUsed": key.last_used_at,
            "state": _state(key, now),
        }
        for key in run_with_database(all_api_keys)
    ]
    titles = ["id", "name", "scopes", "created", "expires", "lastUsed", "state"]
    show_rows(titles, rows, as_json=as_json)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id, or its name if no other key has that name.")],
) -> None:
    """Revoke a key. It stops working within seconds."""
    found = run_with_database(lambda database: _revoke(database, key))
    if not found:
        say(f"There is no key {key!r}. See: routee-receiver api-key list")
        raise typer.Exit(1)
    if len(found) > 1:
        say(f"{len(found)} keys have the name {key!r}. Name one by its id:")
        for one in found:
            say(str(one))
        raise typer.Exit(1)
    say(f"Revoked {found[0]}.")


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "good" if key.is_good(now) else "expired"


async def _revoke(database: Database, key: str) -> list[UUID]:
    """The ids of the keys whose id or name is *key*; a single one is revoked."""
    found = await _ids_of(database, key)
    return found if len(found) != 1 or await revoke_api_key(database, found[0]) else []


async def _ids_of(database: Database, key: str) -> list[UUID]:
    try:
        return [UUID(key)]
    except ValueError:
        return [found.id for found in await api_keys_named(database, key)]
