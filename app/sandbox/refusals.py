"""The refusals of the simulated Routee (routee-contract, section 2)."""

from dataclasses import dataclass

from starlette.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of Routee's error table. Its code begins with the HTTP status."""

    code: str
    message: str
    error_code: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status, the first three digits of the code."""
        return int(self.code[:3])

    def answer(self, detail: str | None = None) -> JSONResponse:
        """The HTTP answer; *detail* replaces the message for this request."""
        document = {"code": self.code, "developerMessage": detail or self.message}
        if self.error_code:
            document["errorCode"] = self.error_code
        return JSONResponse(document, status_code=self.status)


BALANCE_TOO_LOW = ErrorRow("400001009", "The balance is too low")
BAD_RECIPIENT = ErrorRow("400019002", "A recipient is malformed", "001")
BAD_LAYOUT = ErrorRow("400019002", "The layout is not supported", "007")
BAD_VIDEO_LAYOUT = ErrorRow("400019002", "The layout of a message with a video is not supported")
VIDEO_IN_SESSION = ErrorRow("400019002", "A session message cannot have a video")
FILE_TOO_LARGE = ErrorRow("400019002", "The file is larger than 600 KB", "016")
BAD_FILE_TYPE = ErrorRow("400019002", "The file type is not supported", "019")
BAD_SESSION_KIND = ErrorRow("400019002", "A session message is a text, an image or a file", "020")
UNREADABLE = ErrorRow("400000000", "The request could not be read")
BAD_IMAGE_URL = ErrorRow("400000000", "imageURL must be an https URL of at most 1000 characters")
BAD_TTL = ErrorRow("400000000", "ttl must be 30 to 86400 seconds")
BAD_THUMBNAIL = ErrorRow(
    "400000000",
    "SRVC_BAD_THUMBNAIL: videoThumbnail must be an https URL of at most 1000 characters",
)
BAD_VIDEO = ErrorRow("400000000", "A video is at most 200 MB large and 600 seconds long")
UNKNOWN_CONTACT = ErrorRow("404002001", "A contact was not found")
UNKNOWN_SENDER = ErrorRow("404020001", "The sender id is not correct")
NAME_IN_USE = ErrorRow("409009003", "The account has a campaign of that name")
NO_CAMPAIGN = ErrorRow("404009001", "The campaign was not found")
NOT_SCHEDULED = ErrorRow("400009002", "The campaign is no longer scheduled")

# The limits below are documented, but their codes are not.
BAD_NAME = ErrorRow(
    "400000000", "campaignName must be 2 to 30 latin letters, digits, spaces and hyphens"
)
BAD_RECIPIENTS = ErrorRow("400000000", "There must be 1 to 1000 recipients, contacts or groups")
BAD_LABEL = ErrorRow("400000000", "label must be at most 350 characters")
BAD_ACTION = ErrorRow("400000000", "action needs a caption of 1 to 30 characters and a targetUrl")
BAD_FILE = ErrorRow(
    "400000000", "viberFile needs a fileUrl and a fileName of at most 25 characters"
)

# Routee's codes for these are not known.
NO_MESSAGE = ErrorRow("404000000", "The message was not found")
VIBER_NOT_ACTIVATED = ErrorRow(
    "403000000",
    "Viber is not activated for this account. Fill in the Viber Application Form to activate it.",
)
