from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.sandbox.body_rules import LARGE_FILE_URL_PART
from app.sandbox.rules import UNKNOWN_CONTACT_ID, UNKNOWN_SENDER_ID

from .stage import staged_in_process

Document = dict[str, Any]

URL = "https://media.example.com/"
TEXT: Document = {"text": "Hello"}
IMAGE: Document = {"imageURL": f"{URL}image.png"}
ACTION: Document = {"action": {"caption": "Go", "targetUrl": "https://www.example.com/"}}
FILE: Document = {
    "viberFile": {"fileName": "prices.pdf", "fileType": "pdf", "fileUrl": f"{URL}prices"}
}
VIDEO: Document = {"viberVideo": {"videoUrl": f"{URL}v.mp4", "fileSize": 10, "duration": 30}}

LAYOUTS: list[Document] = [
    TEXT,
    IMAGE,
    FILE,
    TEXT | ACTION,
    TEXT | ACTION | IMAGE,
    VIDEO,
    VIDEO | TEXT,
    VIDEO | TEXT | IMAGE,
]


def body(*parts: Document, **fields: object) -> Document:
    return {"body": {name: value for part in parts for name, value in part.items()} | fields}


def file(**fields: object) -> Document:
    return body(viberFile=FILE["viberFile"] | fields)


def video(**fields: object) -> Document:
    return body(viberVideo=VIDEO["viberVideo"] | fields)


def session(*parts: Document) -> Document:
    return body(*parts) | {"isSessionMessage": True}


def url_of_length(characters: int) -> str:
    return URL + "x" * (characters - len(URL))


#: Routee-contract, section 2: each row of the error table that a campaign can break.
TABLE = [
    ({"to": ["306912345678"]}, "400019002", "001"),
    ({"to": ["+306912345678", "+30 69"]}, "400019002", "001"),
    (body(), "400019002", "007"),
    (body(TEXT, IMAGE), "400019002", "007"),
    (body(TEXT, FILE), "400019002", "007"),
    (body(ACTION), "400019002", "007"),
    (body(TEXT, text=""), "400019002", "007"),
    (body(VIDEO, FILE), "400019002", None),
    (body(VIDEO, TEXT, ACTION), "400019002", None),
    (body(VIDEO, IMAGE), "400019002", None),
    (session(VIDEO), "400019002", None),
    (session(VIDEO, TEXT), "400019002", None),
    (file(fileUrl=f"{URL}{LARGE_FILE_URL_PART}.pdf"), "400019002", "016"),
    (file(fileType="exe"), "400019002", "019"),
    (file(fileType=".pdf"), "400019002", "019"),
    (file(fileType=None), "400019002", "019"),
    (session(TEXT, ACTION), "400019002", "020"),
    (session(TEXT, ACTION, IMAGE), "400019002", "020"),
    (body(imageURL="http://media.example.com/image.png"), "400000000", None),
    (body(imageURL="https://"), "400000000", None),
    (body(imageURL="no url"), "400000000", None),
    (body(imageURL=f"{URL}an image.png"), "400000000", None),
    (body(imageURL="https://[::1"), "400000000", None),
    (body(imageURL="https://media.example.com:99999/"), "400000000", None),
    (body(imageURL=url_of_length(1001)), "400000000", None),
    ({"ttl": 86401}, "400000000", None),
    ({"ttl": 29}, "400000000", None),
    (video(videoThumbnail=url_of_length(1001)), "400000000", None),
    (video(videoThumbnail="http://media.example.com/t.png"), "400000000", None),
    (video(videoThumbnail=7), "400000000", None),
    (video(fileSize=200.5), "400000000", None),
    (video(fileSize=0), "400000000", None),
    (video(duration=601), "400000000", None),
    (video(duration=-1), "400000000", None),
    (video(duration=True), "400000000", None),
    (video(videoUrl=None), "400000000", None),
    ({"contacts": ["a", UNKNOWN_CONTACT_ID]}, "404002001", None),
    ({"senderInfoTrackingId": UNKNOWN_SENDER_ID}, "404020001", None),
    ({"senderInfoTrackingId": ""}, "404020001", None),
    ({"senderInfoTrackingId": None}, "404020001", None),
    ({"campaignName": "taken"}, "409009003", None),
    ({"to": [f"+30691{n:07d}" for n in range(29)]}, "400001009", None),
]

#: Documented bounds, whose codes are not.
BOUNDS: list[Document] = [
    {"campaignName": "x"},
    {"campaignName": "x" * 31},
    {"campaignName": "Ανοιξη"},
    {"to": [], "contacts": [], "groups": []},
    {"to": [f"+30691{n:07d}" for n in range(1001)]},
    {"label": "x" * 351},
    body(TEXT, action={"caption": "x" * 31, "targetUrl": "https://www.example.com/"}),
    body(TEXT, action={"caption": "", "targetUrl": "https://www.example.com/"}),
    body(TEXT, action={"caption": "Go"}),
    file(fileName="x" * 26),
    file(fileUrl=None),
]

UNREADABLE: list[Document] = [
    {"body": None},
    {"to": "+306912345678"},
    {"ttl": "soon"},
    {"isSessionMessage": "no"},
    {"label": 1},
    {"scheduledDate": "tomorrow"},
    {"scheduledDate": "2026-03-01T12:00:00"},
    {"scheduledDate": "0001-01-01T00:00:00+14:00"},
]

ACCEPTED = [
    *(body(layout) for layout in LAYOUTS),
    *(session(layout) for layout in (TEXT, IMAGE, FILE)),
    body(imageURL=url_of_length(1000)),
    video(videoThumbnail=url_of_length(1000), fileSize=200, duration=600),
    body(viberVideo={"videoURL": f"{URL}v.mp4"}),
    file(fileName="x" * 25, fileType="XLTX"),
    {"ttl": 30},
    {"ttl": 86400},
    {"ttl": None},
    {"campaignName": "x" * 30},
    {"campaignName": "A-1 b"},
    {"label": "x" * 350},
    {"to": [f"+30691{n:07d}" for n in range(1000)]},
]


@pytest.mark.parametrize(
    ("changes", "code", "error_code"),
    [
        *TABLE,
        *((changes, "400000000", None) for changes in (*BOUNDS, *UNREADABLE)),
    ],
)
async def test_a_refusal_has_the_documented_code_and_leaves_no_trace(
    changes: Document, code: str, error_code: str | None
) -> None:
    async with staged_in_process() as stage:
        await stage.launched(campaignName="taken")
        stage.routee.account.balance = Decimal(1)
        answer = await stage.post(stage.request() | changes)

        assert answer.status_code == int(code[:3]), answer.text
        assert answer.json()["code"] == code
        assert answer.json().get("errorCode") == error_code
        assert answer.json()["developerMessage"]
        assert len(stage.routee.campaigns) == 1
        assert stage.routee.account.balance == 1


@pytest.mark.parametrize("changes", ACCEPTED)
async def test_a_request_within_the_rules_is_accepted(changes: Document) -> None:
    async with staged_in_process() as stage:
        answer = await stage.post(stage.request() | changes)

        assert answer.status_code == 200, answer.text


async def test_a_bad_thumbnail_is_named_as_routee_names_it() -> None:
    async with staged_in_process() as stage:
        answer = await stage.launch(**video(videoThumbnail=url_of_length(1001)))

        assert "SRVC_BAD_THUMBNAIL" in answer.json()["developerMessage"]


async def test_deleting_is_refused_with_the_codes_of_its_own() -> None:
    async with staged_in_process() as stage:
        begun = await stage.launched()
        in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        later = await stage.launched(campaignName="later", scheduledDate=in_an_hour)
        paths = [f"/viber/campaign/{one.tracking_id}" for one in (begun, later, later)]
        answers = [await stage.delete(path) for path in paths]

        assert [answer.status_code for answer in answers] == [400, 204, 404]
        assert answers[0].json()["code"] == "400009002"
        assert answers[2].json()["code"] == "404009001"
