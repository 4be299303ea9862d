"""A campaign: many messages that were asked for in one request, or that callbacks named."""

from enum import StrEnum


class Submission(StrEnum):
    """How far asking Routee for a campaign has come."""

    #: The intent is stored; Routee's answer is not.
    LAUNCHING = "launching"
    #: Routee accepted it.
    LAUNCHED = "launched"
    #: Routee refused it; nothing was sent.
    REJECTED = "rejected"
    #: The call went unanswered: it may or may not have been accepted.
    UNCONFIRMED = "unconfirmed"
    #: It was scheduled, and deleted before its time.
    CANCELLED = "cancelled"
    #: Not launched here; known from its callbacks.
    OBSERVED = "observed"


class Billing(StrEnum):
    """How Routee charges for a campaign."""

    #: Text only.
    TRANSACTIONAL = "transactional"
    #: Anything with an image, a file, a video or a button.
    PROMOTIONAL = "promotional"
    #: By session.
    SESSION = "session"
