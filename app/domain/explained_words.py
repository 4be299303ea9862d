"""What our own words for launches, events and quarantined bodies mean to people."""

from collections.abc import Mapping
from typing import Final

from app.domain.campaign import Submission
from app.domain.explanations import Explanation
from app.domain.history import Effect
from app.domain.quarantine import Reason, ReplayOutcome

#: How far the launch of a campaign has come.
SUBMISSIONS: Final[Mapping[Submission, Explanation]] = {
    Submission.LAUNCHING: Explanation(
        "Being launched",
        "The campaign is being sent to Routee, whose answer is not here yet.",
        "Wait a minute: the answer settles it.",
    ),
    Submission.LAUNCHED: Explanation(
        "Launched",
        "Routee has accepted the campaign, and sends it now or at the time that it is scheduled "
        "for.",
    ),
    Submission.REJECTED: Explanation(
        "Rejected",
        "Routee has refused the campaign, or could not be reached: nothing was sent.",
        "Mend what the reason names, then launch it again.",
    ),
    Submission.UNCONFIRMED: Explanation(
        "Unconfirmed",
        "Routee did not answer, and may or may not have accepted the campaign. It is tried again "
        "for an hour where that cannot pay for it twice.",
        "Do not launch it again: people would get it twice. If it is still unconfirmed after an "
        "hour, look for the campaign's name in Routee's console, and record here whether it was "
        "launched.",
    ),
    Submission.CANCELLED: Explanation(
        "Cancelled",
        "The campaign was scheduled, and was cancelled before Routee sent it.",
    ),
    Submission.OBSERVED: Explanation(
        "Made elsewhere",
        "The campaign was not launched by this service, but for instance in Routee's console. It "
        "is known from what Routee reports of it.",
    ),
}

#: Why something that Routee reported did, or did not, change the status of its message.
EFFECTS: Final[Mapping[Effect, Explanation]] = {
    Effect.ADVANCED: Explanation(
        "Changed the status", "It became the status of the message when it was stored."
    ),
    Effect.FILLED: Explanation(
        "Came late",
        "A later status was known already, so that this one changed nothing but the time at which "
        "the message reached it.",
    ),
    Effect.LATE: Explanation(
        "Known already",
        "A later status was known already, and so was this one: it changed nothing.",
    ),
    Effect.LOWER_RANK: Explanation(
        "Does not count",
        "The message was further already, and does not fall back: what is seen stays seen, "
        "whatever is reported afterwards.",
    ),
}

_COMPARE: Final = (
    "Find out who sent it. If it was Routee, ask Routee's support what it means, and replay it "
    "once a version reads it. Else somebody else knows the callback URL: change its secret."
)

#: Why a body is in the quarantine.
QUARANTINE_REASONS: Final[Mapping[Reason, Explanation]] = {
    Reason.NOT_UTF8: Explanation(
        "Not text",
        "The body is neither JSON nor any text in UTF-8.",
        _COMPARE,
    ),
    Reason.NOT_JSON: Explanation(
        "Not JSON",
        "The body is text, but no JSON: it may be cut, or be something else altogether.",
        _COMPARE,
    ),
    Reason.UNKNOWN_ENCODING: Explanation(
        "Unknown compression",
        "The body is compressed in a way that this version cannot open.",
        "Ask Routee's support to send callbacks uncompressed or with gzip.",
    ),
    Reason.NOT_DECOMPRESSIBLE: Explanation(
        "Damaged compression",
        "The body is not compressed as it says, or ends too early.",
        "Look whether a proxy in front of this service changes bodies or cuts them off.",
    ),
    Reason.DECOMPRESSED_TOO_LARGE: Explanation(
        "Too large when opened",
        "The compressed body opens to more bytes than a body may have.",
        "If Routee did send it, raise RECEIVER_MAX_BODY_BYTES and replay it; else drop it: it may "
        "be an attack.",
    ),
    Reason.NOT_AN_OBJECT: Explanation(
        "Not a callback",
        "The body is JSON, but neither an object nor a list of objects.",
        _COMPARE,
    ),
    Reason.PARTLY_UNREADABLE: Explanation(
        "Partly unreadable",
        "The body is a list in which some elements cannot be read. All the others are stored.",
        "Look at the elements that cannot be read. Replay it once a later version reads them.",
    ),
    Reason.TOO_MANY_ELEMENTS: Explanation(
        "Too many messages",
        "The body has more messages than one body may have.",
        "Ask Routee's support to report fewer messages at once. Reconcile the campaign to get "
        "their statuses.",
    ),
    Reason.NO_MESSAGE_ID: Explanation(
        "No message named",
        "The body does not say which message it is about, and is no reply either.",
        _COMPARE,
    ),
    Reason.NO_STATUS: Explanation(
        "Nothing said",
        "The body names a message or a campaign, and says nothing about it.",
        _COMPARE,
    ),
    Reason.UNUSABLE_ID: Explanation(
        "Unusable id",
        "An id in the body is longer than 512 bytes, or has a character that cannot be stored.",
        _COMPARE,
    ),
    Reason.CAMPAIGN_MISMATCH: Explanation(
        "Another campaign's URL",
        "The body came to the callback URL of one campaign, and reports a message of another.",
        "Find out who knows that URL. If the report is right, let it come through a callback URL "
        "that is good for all campaigns.",
    ),
    Reason.REFUSED_BY_DATABASE: Explanation(
        "Refused by the database",
        "The database refused the values in this body, and took those that came beside it.",
        "Have the technical team look into the log, and replay it after the repair.",
    ),
    Reason.EXPIRED: Explanation(
        "Too old",
        "It happened so long ago that its message may have been removed since.",
        "Nothing needs to be done, unless it comes often: then Routee repeats what is long past.",
    ),
    Reason.UNFORESEEN_ERROR: Explanation(
        "An error of this program",
        "Storing the body failed again and again, by an error of this program.",
        "Have the technical team report the error in the log, and replay it after an upgrade.",
    ),
    Reason.DAMAGED_BUFFER_MESSAGE: Explanation(
        "Damaged in the buffer",
        "What waited to be stored was damaged on its way. It may hold many callbacks.",
        "Have the technical team check the servers of the buffer. Reconcile the campaigns of that "
        "time to get what is missing.",
    ),
}

#: What became of a body of the quarantine when it was replayed.
REPLAY_OUTCOMES: Final[Mapping[ReplayOutcome, Explanation]] = {
    ReplayOutcome.STORED: Explanation("Stored", "All of it is stored, now or already before."),
    ReplayOutcome.PARTLY_STORED: Explanation(
        "Partly stored",
        "A part of it is stored.",
        "The reason says what hinders the rest.",
    ),
    ReplayOutcome.NOT_STORED: Explanation(
        "Not stored",
        "Nothing of it is stored.",
        "The reason says why; it can be another one than before.",
    ),
    ReplayOutcome.ERASED: Explanation(
        "Erased",
        "It was emptied when its recipient was erased: nothing is left to be stored.",
    ),
    ReplayOutcome.FAILED: Explanation(
        "Failed",
        "Storing it failed by an error of this program.",
        "Have the technical team report the error in the log, and replay it after an upgrade.",
    ),
}
