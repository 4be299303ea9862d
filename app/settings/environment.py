"""Reading the settings: which variable, or which file, says what, and what is wrong with it."""

import difflib
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from app.settings.fields import Settings
from app.settings.kinds import SettingsInvalid

PREFIX: Final = "RECEIVER_"
_FILE: Final = "_FILE"
_ADDRESSES: Final = ("database_url", "database_read_url", "buffer_url")
#: Kubernetes adds these to each container for a Service that is named `receiver` or `receiver-…`.
_OF_KUBERNETES: Final = re.compile(
    r"(?:_|.*_)(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)"
)
_PORT_OF_KUBERNETES: Final = re.compile(r"(?:tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Examined:
    """What the environment says of the settings, right or wrong."""

    #: With the default where the variable is unusable.
    settings: Settings
    #: The variable of each setting that is given, and the path of its file, if it has one.
    sources: Mapping[str, tuple[str, str | None]]
    #: What is wrong, by variable. It quotes no value.
    faults: Mapping[str, str]


@dataclass(slots=True)
class _Given:
    values: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def variable_of(name: str) -> str:
    """The environment variable of the setting *name*."""
    return PREFIX + name.upper()


def is_secret(name: str) -> bool:
    """Whether the setting *name* is a secret as a whole."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def may_be_in_a_file(name: str) -> bool:
    """Whether a file may hold the setting *name*: it is a secret, or a URL with a password."""
    return is_secret(name) or name in _ADDRESSES


def load_settings() -> Settings:
    """
    The settings of this process's environment.

    Raises:
        SettingsInvalid: settings are unusable; the message names the variables, not the values.
    """
    found = examined(os.environ)
    if found.faults:
        raise _invalid(found.faults)
    return found.settings


def require_known_variables() -> None:
    """
    Refuse a variable that looks like a setting and is none: what it is meant to set would not be.

    Raises:
        SettingsInvalid: there are some; the message names them, and what they may mean.
    """
    if faults := _unknown(os.environ):
        raise _invalid(faults)


def examined(environ: Mapping[str, str]) -> Examined:
    """Everything that *environ* says of the settings. An empty variable counts as not set."""
    given = _given(environ)
    values = dict(given.values)
    faults = _unknown(environ) | given.faults
    is_first = True
    while True:
        try:
            settings = Settings.model_validate(values)
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False):
                name = str(fault["loc"][0])
                # What is wrong only as another setting was left out is none of the operator's.
                if is_first:
                    message = fault["msg"].removeprefix("Value error, ")
                    faults[given.sources.get(name, (variable_of(name), None))[0]] = message
                _leave_out(values, name)
            is_first = False
        else:
            return Examined(settings, given.sources, faults)


def hand_over(environ: MutableMapping[str, str], *, database_url: str, surface: str) -> None:
    """Have processes that inherit *environ* use *database_url*, whatever named it here."""
    for name in Settings.model_fields:
        if name.startswith("database_") and name != "database_read_url":
            environ.pop(variable_of(name), None)
            environ.pop(variable_of(name) + _FILE, None)
    environ[variable_of("database_url")] = database_url
    environ[variable_of("surface")] = surface


def _leave_out(values: dict[str, str], name: str) -> None:
    if name == "database_url":  # may be made of the others
        for part in [other for other in values if other.startswith("database_")]:
            if part != "database_read_url":
                del values[part]
    values.pop(name, None)


def _given(environ: Mapping[str, str]) -> _Given:
    given = _Given()
    for name in Settings.model_fields:
        variable = variable_of(name)
        value = environ.get(variable, "")
        if _is_of_kubernetes(variable, value):
            value = ""
        path = environ.get(variable + _FILE, "") if may_be_in_a_file(name) else ""
        if value and path:
            given.faults[variable] = f"is set, and so is {variable}{_FILE}; remove one of them"
        elif path:
            given.sources[name] = (variable + _FILE, path)
            try:
                given.values[name] = _content(path)
            except ValueError as error:
                given.faults[variable + _FILE] = str(error)
        elif value:
            given.sources[name] = (variable, None)
            given.values[name] = value
    return given


def _content(path: str) -> str:
    try:
        content = Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8") from None
    if not content:
        raise ValueError(f"{path} is empty")
    return content


def _unknown(environ: Mapping[str, str]) -> dict[str, str]:
    known = [variable_of(name) for name in Settings.model_fields]
    known += [variable_of(name) + _FILE for name in Settings.model_fields if may_be_in_a_file(name)]
    strange = sorted(
        name
        for name, value in environ.items()
        if name.upper().startswith(PREFIX)
        and name not in known
        and not _is_of_kubernetes(name, value)
    )
    return {name: _meant(name, known) for name in strange}


def _meant(name: str, known: list[str]) -> str:
    names = [one.removeprefix(PREFIX) for one in known]
    if close := difflib.get_close_matches(name.upper().removeprefix(PREFIX), names, n=1):
        return f"is no setting; did you mean {PREFIX}{close[0]}?"
    return "is no setting; `routee-receiver config` lists them all"


def _is_of_kubernetes(name: str, value: str) -> bool:
    rest = name.removeprefix(PREFIX.removesuffix("_"))
    if rest.endswith("_PORT") and _PORT_OF_KUBERNETES.match(value):
        return True
    return _OF_KUBERNETES.fullmatch(rest) is not None


def _invalid(faults: Mapping[str, str]) -> SettingsInvalid:
    return SettingsInvalid("; ".join(f"{name}: {fault}" for name, fault in faults.items()))
