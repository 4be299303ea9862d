"""What statuses, and Routee's reasons for them, mean to people, and what to do about them."""

import unicodedata
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from app.domain.status import AWAITING, FAILURES, Status, key_of
from app.kit.blanks import trimmed

#: Of Routee's own words, so much is quoted.
_QUOTED_CHARACTERS: Final = 300
#: After one of these at the end of a quote there is no full stop.
_STOPS: Final = (".", "!", "?", "…")
#: Control characters, and halves of characters, which cannot be encoded.
_NOT_QUOTED: Final = frozenset({"Cc", "Cs"})
#: Marks of direction: one without its end would turn the rest of the sentence around.
_DIRECTIONS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class Explanation(NamedTuple):
    """What something means, for people."""

    #: In a few words.
    headline: str
    #: In a sentence or two.
    text: str
    #: What to do about it; None if there is nothing to do.
    action: str | None = None


class ExplainedWord(NamedTuple):
    """A status, or a reason of Routee's, in words of everyday language."""

    #: As people write it.
    name: str
    #: Goes on after a colon, and before a full stop.
    gist: str
    text: str
    action: str | None = None

    @property
    def headline(self) -> str:
        """Of a status: `Undelivered: Viber could not deliver the message.`."""
        return f"{self.name}: {self.gist}."


class Reported(Protocol):
    """What is known of the status of a message."""

    @property
    def status(self) -> str:
        """The word of ours."""

    @property
    def provider_status(self) -> str:
        """Routee's word; empty if there was none."""

    @property
    def detailed_status(self) -> str | None:
        """Routee's reason, in a word."""

    @property
    def description(self) -> str | None:
        """Routee's reason, in a sentence."""

    @property
    def is_overdue(self) -> bool:
        """Whether it has no final status although its campaign is finished."""


#: Every status, and `AWAITING`, in the order in which messages pass through them.
STATUSES: Final[Mapping[str, ExplainedWord]] = {
    AWAITING: ExplainedWord(
        "Awaiting",
        "Routee has reported nothing yet",
        "The campaign has this recipient, and Routee has reported nothing about the message so "
        "far.",
        "Wait a few minutes. If nothing comes for any recipient of the campaign, have the "
        "technical team check that Routee's callbacks arrive.",
    ),
    Status.QUEUED: ExplainedWord(
        "Queued",
        "Routee is sending it",
        "Routee has accepted the message and is sending it, perhaps again after an attempt that "
        "failed.",
        "Wait: the next status comes by itself. A message that is not delivered within its time "
        "to live, 14 days if none was set, expires.",
    ),
    Status.SENT: ExplainedWord(
        "Sent",
        "Viber has it",
        "Routee has handed the message to Viber, which has not reported yet that it reached the "
        "recipient.",
        "Wait: the recipient's phone may be off or without internet.",
    ),
    Status.UNDELIVERED: ExplainedWord(
        "Undelivered",
        "Viber could not deliver it",
        "The message was sent, and Viber could not deliver it to this number.",
        "Check the number with the recipient, or reach them in another way. If Routee sends the "
        "message again after all, a later status replaces this one.",
    ),
    Status.EXPIRED: ExplainedWord(
        "Expired",
        "its time to live was over",
        "The message could not be delivered within its time to live. As a rule the recipient's "
        "phone was off or without internet.",
        "If it still matters, send it again with a longer time to live, or reach the recipient in "
        "another way.",
    ),
    Status.FAILED: ExplainedWord(
        "Failed",
        "there was an error at Routee or Viber",
        "The message failed at Routee or Viber.",
        "Send it again. If it fails again, or many messages fail, ask Routee's support and name "
        "the trackingId.",
    ),
    Status.UNSENT: ExplainedWord(
        "Unsent",
        "the balance of the Routee account was too low",
        "Routee did not send the message, because the balance of the account was too low.",
        "Top up the Routee account, then send the message again: Routee does not do so by itself.",
    ),
    Status.DELIVERED: ExplainedWord(
        "Delivered",
        "it is on the recipient's phone",
        "The message is on the recipient's phone. Routee has not reported that the recipient has "
        "seen it.",
    ),
    Status.SEEN: ExplainedWord(
        "Seen",
        "the recipient has seen it",
        "The message was delivered, and the recipient has seen it.",
    ),
    Status.UNKNOWN: ExplainedWord(
        "Unknown",
        "Routee sent a word that this version does not know",
        "Routee sent a status that this version does not know. It is kept as it came, and a later "
        "status replaces it.",
        "Look the word up in Routee's documentation, or ask Routee's support what it means.",
    ),
}

#: Every reason for a failure that is known (routee-contract, section 3), by Routee's own word.
REASONS: Final[Mapping[str, ExplainedWord]] = {
    word.name: word
    for word in (
        ExplainedWord(
            "Not Viber User",
            "the number has no Viber",
            "No Viber account belongs to this number, so that Viber can deliver nothing to it.",
            "Check the number with the recipient. If it is right, reach them in another way, such "
            "as SMS or a call: sending it again does not help.",
        ),
        ExplainedWord(
            "Opted Out",
            "the recipient does not want messages of this sender",
            "The recipient has opted out of messages of this sender, and Viber delivers none of "
            "them.",
            "Take the number off the lists of this sender, and do not send to it again.",
        ),
        ExplainedWord(
            "System Failure",
            "a system of Routee or Viber failed",
            "The message was lost in a technical failure at Routee or Viber. Neither the number "
            "nor the text is the cause.",
            "Send it again later. If many messages have this reason, ask Routee's support and name "
            "their trackingIds.",
        ),
        ExplainedWord(
            "Message Rejected",
            "Viber rejected it",
            "Viber did not accept the message. Routee does not say why.",
            "Check the text, the links and the sender of the campaign. If they are in order, ask "
            "Routee's support and name the trackingId.",
        ),
        ExplainedWord(
            "Timed Out",
            "Viber did not answer in time",
            "Viber did not answer for this message in time. It may still arrive, and then a later "
            "status replaces this one.",
            "Wait a while before you send it again, or the recipient may get it twice.",
        ),
        ExplainedWord(
            "Unsupported Equipment",
            "the recipient's device cannot show it",
            "The recipient's device, or its version of Viber, cannot show a message of this kind.",
            "Send a message of text alone, or reach the recipient in another way.",
        ),
        STATUSES[Status.EXPIRED]._replace(name="TTL Expired"),
        STATUSES[Status.UNSENT]._replace(name="Insufficient Balance"),
        STATUSES[Status.UNSENT]._replace(name="Balance Too Low"),
    )
}

#: Beside a status that is not final.
OVERDUE: Final = ExplainedWord(
    "Overdue",
    "the campaign is over and no final status came",
    "The campaign is over, and no final status of this message has come.",
    "Ask Routee's support what became of the message and name the trackingId. If many messages are "
    "overdue, have the technical team check that Routee's callbacks arrive.",
)


def _key(word: str | None) -> str:
    return " ".join(key_of(trimmed(word or "")).split())


_REASONS_BY_KEY: Final = {_key(name): reason for name, reason in REASONS.items()}


def explained(message: Reported) -> Explanation:
    """What the status of *message* means."""
    return explanation_of(
        message.status,
        message.detailed_status,
        message.description,
        provider_status=message.provider_status,
        is_overdue=message.is_overdue,
    )


def explanation_of(
    status: str,
    detailed_status: str | None,
    description: str | None,
    *,
    is_overdue: bool,
    provider_status: str | None = None,
) -> Explanation:
    """
    What a message's *status*, or `AWAITING`, means, given Routee's reason for it.

    The reason is its *detailed_status*, a word, and its *description*, a sentence. One that is not
    known is quoted. *provider_status* is Routee's word for a status that reads as `UNKNOWN`.
    """
    word = STATUSES.get(status)
    if word is None or word is STATUSES[Status.UNKNOWN]:
        is_known = word is not None
        found = _of_unknown_word(provider_status if is_known else status)
        found = _with_quote(found, detailed_status, description)
    else:
        found = _of_known(word, status, detailed_status, description)
    return _overdue(found) if is_overdue else found


def _of_known(
    word: ExplainedWord, status: str, detailed_status: str | None, description: str | None
) -> Explanation:
    of_status = Explanation(word.headline, word.text, word.action)
    key, is_failure = _key(detailed_status), status in FAILURES
    reason = _REASONS_BY_KEY.get(key)
    if reason is not None and is_failure:
        return Explanation(f"{word.name}: {reason.gist}.", reason.text, reason.action)
    if key != status:
        return _with_quote(of_status, detailed_status, description)
    # The reason repeats the status, as in DELIVERED, Delivered.
    return _with_quote(of_status, None, description) if is_failure else of_status


def _of_unknown_word(word: str | None) -> Explanation:
    unknown = STATUSES[Status.UNKNOWN]
    spelt = _quotable(word)
    if not spelt:
        gist = "Routee sent no word for it"
        text = "Routee sent a status without a word. A later status replaces it."
        return Explanation(f"{unknown.name}: {gist}.", text, "Wait for the next status.")
    gist = f"Routee sent the word “{spelt}”"
    text = (
        f"{gist}, which this version does not know. It is kept as it came, and a later status "
        "replaces it."
    )
    return Explanation(f"{unknown.name}: {gist}.", text, unknown.action)


def _with_quote(found: Explanation, *words: str | None) -> Explanation:
    """*found*, and Routee's own *words* after its text."""
    quoted = ": ".join(filter(None, map(_quotable, words)))
    if not quoted:
        return found
    stop = "" if quoted.endswith(_STOPS) else "."
    return found._replace(text=f"{found.text} Routee says: “{quoted}”{stop}")


def _overdue(found: Explanation) -> Explanation:
    headline = f"{found.headline} {OVERDUE.headline}"
    return Explanation(headline, f"{found.text} {OVERDUE.text}", OVERDUE.action)


def _quotable(words: str | None) -> str:
    """*words* on one line and of bounded length, without what would disturb the text around it."""
    if not words:
        return ""
    shown = "".join(map(_shown, words[: 2 * _QUOTED_CHARACTERS]))
    spelt = " ".join(shown.split())
    if len(spelt) <= _QUOTED_CHARACTERS:
        return spelt
    return f"{spelt[:_QUOTED_CHARACTERS].rstrip()}…"


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    hidden = character in _DIRECTIONS or unicodedata.category(character) in _NOT_QUOTED
    return "" if hidden else character
