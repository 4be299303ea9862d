"""Whether the settings suit what is wanted, and the secrets are any good."""

import shutil
from itertools import combinations
from typing import Final

from app.services.doctor.examination import Notes
from app.settings import CREDENTIALS, HOW_TO_MAKE_ONE, Settings

#: A random secret of 32 characters has more with near certainty.
_MIN_DISTINCT_CHARACTERS: Final = 12
_LONGEST_REPEATED: Final = 8
_MAKE_ONE: Final = f"Make one with: {HOW_TO_MAKE_ONE}"
_FULL_SHARE: Final = 0.05
_LOW_SHARE: Final = 0.15
_GB: Final = 1024**3


async def examine_features(settings: Settings, notes: Notes) -> None:
    """Note what is off for lack of a setting, or not as it should be on the internet."""
    if number := len(settings.callback_secrets):
        notes.ok(f"callbacks are taken, with {number} callback secret{'s' if number > 1 else ''}")
    else:
        notes.fault(
            "RECEIVER_CALLBACK_SECRETS is not set: every callback would be refused", _MAKE_ONE
        )
    missing = settings.missing_for_launching()
    text = f"campaigns cannot be launched: {', '.join(missing)} not set"
    if not missing:
        notes.ok("campaigns can be launched")
    elif set(settings.missing_for_reconciling()) == set(CREDENTIALS):
        # Who only receives lacks nothing.
        notes.ok(f"{text}; nor can Routee be asked for statuses that did not come")
    else:
        notes.warn(text, "Set them, or no credentials if this service is not to launch campaigns.")
    if not settings.keys_for_erasure():
        notes.warn(
            "recipients cannot be erased: no RECEIVER_ERASURE_KEYS and no RECEIVER_SIGNING_KEYS",
            _MAKE_ONE,
        )
    if settings.buffer_unsafe and settings.buffer_url:
        notes.fault(
            "RECEIVER_BUFFER_UNSAFE lets callbacks be acknowledged that may be lost",
            "Remove it.",
        )
    if settings.public_url.startswith("http://"):
        notes.warn(
            "RECEIVER_PUBLIC_URL is http://: tokens and telephone numbers travel unencrypted",
            "Put a proxy with TLS before the service, and use its https:// address.",
        )


async def examine_secrets(settings: Settings, notes: Notes) -> None:
    """Note secrets that can be guessed, or are used twice."""
    secrets = {
        "RECEIVER_CALLBACK_SECRETS": settings.callback_secrets,
        "RECEIVER_SIGNING_KEYS": settings.signing_keys,
        "RECEIVER_ERASURE_KEYS": settings.erasure_keys,
    }
    values = {name: {one.get_secret_value() for one in theirs} for name, theirs in secrets.items()}
    weak = [name for name, theirs in values.items() if any(map(_is_guessable, theirs))]
    for name in weak:
        notes.warn(f"{name} has a secret that looks made by hand", _MAKE_ONE)
    for (first, theirs), (second, others) in combinations(values.items(), 2):
        if theirs & others:
            notes.warn(
                f"{first} and {second} have a secret in common",
                "Use another one for each: whoever learns a callback token must not be able to "
                "sign others.",
            )
    if not notes.found:
        notes.ok("nothing to guess, and none is used twice")


async def examine_disk(settings: Settings, notes: Notes) -> None:
    """Note how much room the data folder of the embedded server has."""
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / _GB:.1f} of {usage.total / _GB:.1f} GB free at {settings.data_dir}"
    advice = "Free or add space: when it is full, callbacks are refused. See docs/runbooks.md."
    if usage.free < _FULL_SHARE * usage.total or usage.free < _GB:
        notes.fault(text, advice)
    elif usage.free < _LOW_SHARE * usage.total:
        notes.warn(text, advice)
    else:
        notes.ok(text)


def _is_guessable(secret: str) -> bool:
    return len(set(secret)) < _MIN_DISTINCT_CHARACTERS or _repeats(secret)


def _repeats(secret: str) -> bool:
    """Whether *secret* is a short text over and over."""
    lengths = range(1, _LONGEST_REPEATED + 1)
    return any((secret[:length] * len(secret)).startswith(secret) for length in lengths)
