"""How much of a value of Routee's is kept in a column. The whole is always in the payload."""

from typing import Final

MAX_STATUS_CHARACTERS: Final = 64
MAX_SENDER_CHARACTERS: Final = 64
MAX_COUNTRY_CHARACTERS: Final = 32
MAX_LABEL_CHARACTERS: Final = 350
MAX_REASON_CHARACTERS: Final = 350
MAX_DESCRIPTION_CHARACTERS: Final = 1000
MAX_CAMPAIGN_NAME_CHARACTERS: Final = 350
