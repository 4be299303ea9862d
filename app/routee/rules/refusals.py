"""The only file of the rules that knows Routee's error codes."""

from typing import Final, NamedTuple

from app.errors import Fault


class Refusal(NamedTuple):
    """The codes with which Routee would refuse, as far as its API page names them."""

    code: str | None = None
    error_code: str | None = None


#: Routee's API page names no code for it.
UNNAMED: Final = Refusal()
BAD_RECIPIENT: Final = Refusal("400019002", "001")
BAD_LAYOUT: Final = Refusal("400019002", "007")
BAD_VIDEO_LAYOUT: Final = Refusal("400019002")
FILE_TOO_LARGE: Final = Refusal("400019002", "016")
BAD_FILE_TYPE: Final = Refusal("400019002", "019")
BAD_SESSION_KIND: Final = Refusal("400019002", "020")
VIDEO_IN_SESSION: Final = Refusal("400019002")
#: For an image URL, a ttl, a thumbnail URL, or the size or duration of a video.
OUT_OF_BOUNDS: Final = Refusal("400000000")


def fault(field: str, message: str, refusal: Refusal = UNNAMED) -> Fault:
    """A fault at *field*, with the codes that Routee would answer."""
    return Fault(field, message, code=refusal.code, error_code=refusal.error_code)
