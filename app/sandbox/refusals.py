"""The only file of the simulator that knows how Routee refuses (routee-contract, section 2)."""

from dataclasses import dataclass

from starlette.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the provider's error table. Its code begins with the HTTP status."""

    code: str
    message: str
    error_code: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status, the first three digits of the code."""
        return int(self.code[:3])

    def answer(self, detail: str | None = None) -> JSONResponse:
        """The refusal as an HTTP answer; *detail* says it for this very request."""
        document = {"code": self.code, "developerMessage": detail or self.message}
        if self.error_code:
            document["errorCode"] = self.error_code
        return JSONResponse(document, status_code=self.status)


BALANCE_TOO_LOW = Refusal("400001009", "The balance is too low")
BAD_RECIPIENT = Refusal("400019002", "A recipient is malformed", "001")
BAD_LAYOUT = Refusal("400019002", "The layout is not supported", "007")
BAD_VIDEO_LAYOUT = Refusal("400019002", "The layout of a message with a video is not supported")
VIDEO_IN_SESSION = Refusal("400019002", "A session message cannot have a video")
FILE_TOO_LARGE = Refusal("400019002", "The file is larger than 600 KB", "016")
BAD_FILE_TYPE = Refusal("400019002", "The file type is not supported", "019")
BAD_SESSION_KIND = Refusal("400019002", "A session message is a text, an image or a file", "020")
UNREADABLE = Refusal("400000000", "The request could not be read")
BAD_IMAGE_URL = Refusal("400000000", "imageURL must be an https URL of at most 1000 characters")
BAD_TTL = Refusal("400000000", "ttl must be 30 to 86400 seconds")
BAD_THUMBNAIL = Refusal(
    "400000000",
    "SRVC_BAD_THUMBNAIL: videoThumbnail must be an https URL of at most 1000 characters",
)
BAD_VIDEO = Refusal("400000000", "A video is at most 200 MB large and 600 seconds long")
UNKNOWN_CONTACT = Refusal("404002001", "A contact was not found")
UNKNOWN_SENDER = Refusal("404020001", "The sender id is not correct")
NAME_IN_USE = Refusal("409009003", "The account has a campaign of that name")
NO_CAMPAIGN = Refusal("404009001", "The campaign was not found")
NOT_SCHEDULED = Refusal("400009002", "The campaign is no longer scheduled")

# The bounds below are documented, but not with which code they are kept.
BAD_NAME = Refusal(
    "400000000", "campaignName must be 2 to 30 latin letters, digits, spaces and hyphens"
)
BAD_RECIPIENTS = Refusal("400000000", "There must be 1 to 1000 recipients, contacts or groups")
BAD_LABEL = Refusal("400000000", "label must be at most 350 characters")
BAD_ACTION = Refusal("400000000", "action needs a caption of 1 to 30 characters and a targetUrl")
BAD_FILE = Refusal("400000000", "viberFile needs a fileUrl and a fileName of at most 25 characters")

# The provider's codes for these are not known.
NO_MESSAGE = Refusal("404000000", "The message was not found")
VIBER_NOT_ACTIVATED = Refusal(
    "403000000",
    "Viber is not activated for this account. Fill in the Viber Application Form to activate it.",
)
