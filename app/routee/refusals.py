"""The table of Routee's refusals, what each means, and what the caller can do about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """The meaning of a refusal, as a stable slug."""

    BALANCE_TOO_LOW = "balance-too-low"
    RECIPIENT_MALFORMED = "recipient-malformed"
    LAYOUT_NOT_SUPPORTED = "layout-not-supported"
    VIDEO_LAYOUT_NOT_SUPPORTED = "video-layout-not-supported"
    VIDEO_IN_SESSION_MESSAGE = "video-in-session-message"
    FILE_TOO_LARGE = "file-too-large"
    FILE_TYPE_NOT_SUPPORTED = "file-type-not-supported"
    SESSION_MESSAGE_KIND_NOT_SUPPORTED = "session-message-kind-not-supported"
    IMAGE_URL_INVALID = "image-url-invalid"
    TTL_TOO_LONG = "ttl-too-long"
    THUMBNAIL_TOO_LONG = "thumbnail-too-long"
    VIDEO_TOO_LARGE = "video-too-large"
    VIDEO_TOO_LONG = "video-too-long"
    FIELD_INVALID = "field-invalid"
    CONTACT_NOT_FOUND = "contact-not-found"
    SENDER_NOT_FOUND = "sender-not-found"
    CAMPAIGN_NAME_IN_USE = "campaign-name-in-use"
    CAMPAIGN_NOT_FOUND = "campaign-not-found"
    CAMPAIGN_NOT_SCHEDULED = "campaign-not-scheduled"
    VIBER_NOT_ACTIVATED = "viber-not-activated"
    ACCESS_DENIED = "access-denied"
    NOT_FOUND = "not-found"
    #: Any other refusal.
    REFUSED = "refused"


#: Advice for the caller.
ADVICE: Final[Mapping[Meaning, str]] = {
    Meaning.BALANCE_TOO_LOW: (
        "The balance of the Routee account is too low. Top it up, then launch again."
    ),
    Meaning.RECIPIENT_MALFORMED: (
        "A recipient is malformed, so Routee refused the whole request. Numbers are in E.164: "
        "+ and the country code, then digits only."
    ),
    Meaning.LAYOUT_NOT_SUPPORTED: (
        "The body has a layout that is not supported. Allowed are Text, Image, File, Text+Action "
        "and Text+Action+Image."
    ),
    Meaning.VIDEO_LAYOUT_NOT_SUPPORTED: (
        "The body combines a video with parts that a video cannot be combined with. Allowed are "
        "Video, Video+Text and Video+Text+Image."
    ),
    Meaning.VIDEO_IN_SESSION_MESSAGE: (
        "A session message cannot have a video. Leave out the video or isSessionMessage."
    ),
    Meaning.FILE_TOO_LARGE: "The file is too large. At most 600 KB are allowed.",
    Meaning.FILE_TYPE_NOT_SUPPORTED: (
        "The type of the file is not supported. fileType is a bare extension, like pdf."
    ),
    Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED: (
        "A session message of this kind is not supported. Allowed are Text, Image and File."
    ),
    Meaning.IMAGE_URL_INVALID: (
        "The image URL is not usable. It must be a valid https URL of at most 1000 characters."
    ),
    Meaning.TTL_TOO_LONG: "The ttl is too long. At most 86400 seconds are allowed.",
    Meaning.THUMBNAIL_TOO_LONG: (
        "The URL of the video's thumbnail is not usable. It must be a valid https URL of at most "
        "1000 characters."
    ),
    Meaning.VIDEO_TOO_LARGE: "The video is too large. At most 200 MB are allowed.",
    Meaning.VIDEO_TOO_LONG: "The video is too long. At most 600 seconds are allowed.",
    Meaning.FIELD_INVALID: "A field of the request is not valid. Correct it, then launch again.",
    Meaning.CONTACT_NOT_FOUND: "A contact id does not exist in the Routee account.",
    Meaning.SENDER_NOT_FOUND: (
        "The sender id is not correct. senderInfoTrackingId is the id of a Viber sender of the "
        "Routee account."
    ),
    Meaning.CAMPAIGN_NAME_IN_USE: (
        "The Routee account has a campaign of that name. Choose another campaignName."
    ),
    Meaning.CAMPAIGN_NOT_FOUND: "Routee knows no campaign of that trackingId.",
    Meaning.CAMPAIGN_NOT_SCHEDULED: (
        "The campaign is no longer scheduled, so it cannot be deleted."
    ),
    Meaning.VIBER_NOT_ACTIVATED: (
        "Viber is not activated for the Routee account. Routee activates it on request, by its "
        "Viber Application Form."
    ),
    Meaning.ACCESS_DENIED: (
        "Routee denied access, with a fresh token too. Check that the application may use Viber: "
        "it is available only after Routee's Viber Application Form."
    ),
    Meaning.NOT_FOUND: "Routee found nothing under that id or address.",
    Meaning.REFUSED: "Routee refused the request.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the table. Of rows with the same code the first match counts."""

    code: str
    meaning: Meaning
    field: str
    error_code: str | None = None
    #: Matches the text instead: Routee does not document where the errorCode is, if it is sent.
    words: re.Pattern[str] | None = None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_BODY_CODE: Final = "400019002"
_FIELD_CODE: Final = "400000000"

_REFUSALS: Final = (
    Refusal("400001009", Meaning.BALANCE_TOO_LOW, ""),
    Refusal(_BODY_CODE, Meaning.RECIPIENT_MALFORMED, "to", "001"),
    Refusal(_BODY_CODE, Meaning.LAYOUT_NOT_SUPPORTED, "body", "007"),
    Refusal(_BODY_CODE, Meaning.FILE_TOO_LARGE, "body.viberFile", "016"),
    Refusal(_BODY_CODE, Meaning.FILE_TYPE_NOT_SUPPORTED, "body.viberFile.fileType", "019"),
    Refusal(_BODY_CODE, Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED, "isSessionMessage", "020"),
    Refusal(
        _BODY_CODE,
        Meaning.VIDEO_IN_SESSION_MESSAGE,
        "isSessionMessage",
        words=_words(r"video.*session|session.*video"),
    ),
    Refusal(
        _BODY_CODE, Meaning.VIDEO_LAYOUT_NOT_SUPPORTED, "body.viberVideo", words=_words("video")
    ),
    Refusal(
        _BODY_CODE,
        Meaning.SESSION_MESSAGE_KIND_NOT_SUPPORTED,
        "isSessionMessage",
        words=_words("session"),
    ),
    Refusal(
        _BODY_CODE,
        Meaning.FILE_TYPE_NOT_SUPPORTED,
        "body.viberFile.fileType",
        words=_words(r"file.?type|type of (the )?file|file extension"),
    ),
    Refusal(
        _BODY_CODE,
        Meaning.FILE_TOO_LARGE,
        "body.viberFile",
        words=_words(r"file.*(size|large|big|600|kb)|size.*file"),
    ),
    Refusal(
        _BODY_CODE,
        Meaning.RECIPIENT_MALFORMED,
        "to",
        words=_words(r"recipient|msisdn|phone|mobile number"),
    ),
    Refusal(
        _BODY_CODE,
        Meaning.LAYOUT_NOT_SUPPORTED,
        "body",
        words=_words("layout|combination|text.*(action|image)"),
    ),
    Refusal(_BODY_CODE, Meaning.FIELD_INVALID, "body"),
    Refusal(
        _FIELD_CODE,
        Meaning.THUMBNAIL_TOO_LONG,
        "body.viberVideo.videoThumbnail",
        words=_words("thumbnail"),
    ),
    Refusal(_FIELD_CODE, Meaning.IMAGE_URL_INVALID, "body.imageURL", words=_words("image")),
    Refusal(_FIELD_CODE, Meaning.TTL_TOO_LONG, "ttl", words=_words(r"\bttl\b|time.?to.?live")),
    Refusal(
        _FIELD_CODE,
        Meaning.VIDEO_TOO_LONG,
        "body.viberVideo.duration",
        words=_words(r"duration|video.*(\bsec|\b600\b|too long)"),
    ),
    Refusal(
        _FIELD_CODE,
        Meaning.VIDEO_TOO_LARGE,
        "body.viberVideo.fileSize",
        words=_words(r"video.*(size|large|big|\bmb\b|\b200\b)|file.?size"),
    ),
    Refusal(_FIELD_CODE, Meaning.FIELD_INVALID, ""),
    Refusal("404002001", Meaning.CONTACT_NOT_FOUND, "contacts"),
    Refusal("404020001", Meaning.SENDER_NOT_FOUND, "senderInfoTrackingId"),
    Refusal("409009003", Meaning.CAMPAIGN_NAME_IN_USE, "campaignName"),
    Refusal("404009001", Meaning.CAMPAIGN_NOT_FOUND, ""),
    Refusal("400009002", Meaning.CAMPAIGN_NOT_SCHEDULED, ""),
)

_BY_STATUS: Final[Mapping[int, Meaning]] = {
    401: Meaning.ACCESS_DENIED,
    403: Meaning.ACCESS_DENIED,
    404: Meaning.NOT_FOUND,
}

#: These concern the caller's access, so they are definite whatever the body says. The first such
#: answer may only mean a stale token (Routee's API page).
ABOUT_ACCESS: Final = frozenset({401, 403})
_VIBER: Final = _words("viber")
_VIBER_IS_OFF: Final = _words(
    r"viber\b.*\b(not|isn't|no)\b.*\b(activ|enabl|subscri)"
    r"|\b(not|no)\b.*\b(activ|enabl|subscri)\w*\b.*\bviber"
)


def find_refusal(code: str | None, error_code: str | None, text: str) -> Refusal | None:
    """The best match: by errorCode, else by words, else by code alone."""
    rows = [row for row in _REFUSALS if row.code == code]
    by_error_code = (row for row in rows if row.error_code and row.error_code == error_code)
    by_words = (row for row in rows if row.words and row.words.search(text))
    by_code = (row for row in rows if not row.error_code and not row.words)
    return next(by_error_code, None) or next(by_words, None) or next(by_code, None)


def meaning_of(refusal: Refusal | None, *, status: int, text: str) -> Meaning:
    """The meaning of a refusal; *refusal* is None if the table does not have it."""
    if refusal is not None:
        return refusal.meaning
    # Routee does not document its words for an account without Viber.
    pattern = _VIBER if status in ABOUT_ACCESS else _VIBER_IS_OFF
    if pattern.search(text):
        return Meaning.VIBER_NOT_ACTIVATED
    return _BY_STATUS.get(status, Meaning.REFUSED)
