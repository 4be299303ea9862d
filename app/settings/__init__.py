"""The settings of an operator: `RECEIVER_*` environment variables, and their checks."""

from app.settings.environment import (
    PREFIX,
    Examined,
    examined,
    hand_over,
    is_secret,
    load_settings,
    may_be_in_a_file,
    require_known_variables,
    variable_of,
)
from app.settings.fields import CREDENTIALS, Settings
from app.settings.kinds import HOW_TO_MAKE_ONE, SettingsInvalid
from app.settings.urls import masked

__all__ = [
    "CREDENTIALS",
    "HOW_TO_MAKE_ONE",
    "PREFIX",
    "Examined",
    "Settings",
    "SettingsInvalid",
    "examined",
    "hand_over",
    "is_secret",
    "load_settings",
    "masked",
    "may_be_in_a_file",
    "require_known_variables",
    "variable_of",
]
