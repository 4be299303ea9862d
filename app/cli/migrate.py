"""`routee-receiver migrate`: brings the schema up to date."""

from app.cli.running import database_url, loaded_settings, run, say
from app.db.database import migrate_database
from app.settings import Settings


def migrate() -> None:
    """
    Bring the database schema to the version that this program needs.

    Safe to run at any time and several times at once: one process works, the others wait.
    """
    version = run(_migrated(loaded_settings()))
    say(f"The schema is at version {version}.")


async def _migrated(settings: Settings) -> str:
    async with database_url(settings) as url:
        return await migrate_database(url)
