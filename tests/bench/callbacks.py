"""The callbacks of `callbacks.lua`, one by one, for those that cannot use wrk."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

_STATUSES: Final = ("SENT", "DELIVERED", "SEEN")
_SECONDS: Final = ("02", "04", "06")
_IN_ORDER, _OUT_OF_ORDER = (0, 1, 2), (2, 0, 1)
_CAMPAIGNS, _APART, _BACK = 8, 64, 97
_BEFORE_THE_FIRST: Final = 50_000_000

_COMMON_TEXT: Final = "This is a test, please ignore!"
_PERSONAL_TEXT: Final = "This is a test for %010d!"

_TEMPLATE: Final = (
    '{"trackingId":"%(mark)s-4ca0-b817-%(message)012d",'
    '"campaignTrackingId":"%(mark)s-campaign-%(campaign)d","to":"+3069%(message)08d",'
    '"from":"Routeetest","groups":[],"country":"GR","status":{"name":"%(status)s","reason":'
    '{"detailedStatus":"%(status)s","description":"The message was delivered to its recipient."},'
    '"updatedDate":"2026-07-05T10:28:%(second)s.996Z"},"body":{"text":"%(text)s",'
    '"imageURL":null,"viberAction":{"caption":"Go","targetUrl":"https://www.routee.net/"}}'
    ',"ttl":300,"label":"labelName","inboundUrl":"https://your-server.com/inbound",'
    '"applicationName":"default","price":0.035,"direction":"Outbound","originatingService":"Viber",'
    '"createdAt":"2026-07-05T10:28:00.566Z"}'
)


class Texts(StrEnum):
    """Which messages have a text of their own, such as one with a name or an order number."""

    #: None: a campaign has one text.
    SAME = "same"
    #: All of them.
    PERSONAL = "personal"
    #: Those of every other campaign.
    HALF = "half"


class Callbacks(Iterator[bytes]):
    """Request bodies without end, whose ids begin with *mark*, as UUIDs do (`run.mark`)."""

    def __init__(self, mark: str, texts: Texts = Texts.HALF) -> None:
        self._mark = mark
        self._texts = texts
        self.sent = 0
        #: How many different events they report.
        self.distinct = 0

    def __next__(self) -> bytes:
        is_repetition = self.sent % 20 == 19 and self.distinct > _BACK
        at = self.distinct - _BACK if is_repetition else self.distinct
        self.distinct += not is_repetition
        self.sent += 1
        return self._body(*_story(at))

    def _body(self, message: int, status: int) -> bytes:
        values = {
            "mark": self._mark,
            "message": message,
            "campaign": message % _CAMPAIGNS,
            "status": _STATUSES[status],
            "second": _SECONDS[status],
            "text": self._text(message),
        }
        return (_TEMPLATE % values).encode()

    def _text(self, message: int) -> str:
        is_odd = message % _CAMPAIGNS % 2 == 1
        is_personal = self._texts is Texts.PERSONAL or (self._texts is Texts.HALF and is_odd)
        return _PERSONAL_TEXT % message if is_personal else _COMMON_TEXT


def _story(at: int) -> tuple[int, int]:
    """The message and the status of callback number *at*, of those that repeat nothing."""
    message, step = divmod(at, 3)
    message -= step * _APART
    if message < 0:
        message = at + _BEFORE_THE_FIRST
    order = _OUT_OF_ORDER if message % 20 == 7 else _IN_ORDER
    return message, order[step]
