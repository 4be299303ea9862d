"""The settings that change what the views show, written to where the views read them."""

from typing import Final, NamedTuple

from app.db.database import Database

_WRITE: Final = """
UPDATE bi_settings SET mask_labels = $1, currency = $2, opt_out_words = $3
WHERE (mask_labels, currency, opt_out_words) IS DISTINCT FROM ($1::boolean, $2::text, $3::text[])
"""


class ViewSettings(NamedTuple):
    """What the views show, the same for all analysts."""

    #: Whether labels, names and senders are masked as other texts are.
    mask_labels: bool
    #: Of prices and costs: three letters of ISO 4217; None where it is not set.
    currency: str | None
    #: Whole replies by which a recipient opts out, in any case of letters.
    opt_out_words: tuple[str, ...]


async def write_view_settings(database: Database, settings: ViewSettings) -> None:
    """
    Let the views show *settings*. It writes nothing where they do already.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    async with database.driver() as connection:
        await connection.execute(
            _WRITE, settings.mask_labels, settings.currency, list(settings.opt_out_words)
        )
