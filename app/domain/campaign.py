"""The words for the state of a campaign and for its billing."""

from enum import StrEnum


class Submission(StrEnum):
    """How far the launch of a campaign has come."""

    #: The intent to launch is stored; Routee's answer is not known yet.
    LAUNCHING = "launching"
    #: Routee accepted it.
    LAUNCHED = "launched"
    #: Routee refused it; nothing was sent.
    REJECTED = "rejected"
    #: The call had no answer: Routee may or may not have accepted it.
    UNCONFIRMED = "unconfirmed"
    #: It was scheduled, and deleted before it was sent.
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
