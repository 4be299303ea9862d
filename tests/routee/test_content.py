import gzip
import zlib

import pytest

from app.domain.quarantine import Reason
from app.routee.content import Content, content_of, opened
from app.routee.wire import Unreadable

BODY = b'{"trackingId":"m"}'


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("", None),
        ("application/json", None),
        ("application/json; charset=utf-8", None),
        ('application/json;charset="UTF-8"', None),
        ("text/plain; charset=us-ascii", None),
        ("application/json; charset=ISO-8859-7", "iso-8859-7"),
        ("application/json; odata=x ; CharSet = windows-1253; x=y", "windows-1253"),
        ('text/json; charset="iso-8859-7"', "iso-8859-7"),
        ("application/json; xcharset=iso-8859-7", None),
        ("charset", None),
    ],
)
def test_the_charset_is_that_of_the_content_type(content_type: str, charset: str | None) -> None:
    content = Content(type=content_type)
    assert content.charset == charset
    assert content.is_usual == (charset is None)


def test_encodings_are_opened_in_reverse_order() -> None:
    octets = gzip.compress(zlib.compress(BODY))
    content = Content(encoding="deflate, identity,GZIP")
    assert not content.is_usual
    assert opened(octets, content, max_bytes=100) == BODY
    assert Content(encoding="identity").is_usual


def test_repeated_headers_are_one_list_of_bounded_length() -> None:
    headers = [
        (b"host", b"x"),
        (b"content-encoding", b"deflate"),
        (b"content-type", b"text/" + b"x" * 300),
        (b"content-encoding", b"gzip"),
    ]
    content = content_of(headers)
    assert content.encodings == ["deflate", "gzip"]
    assert len(content.type) == 200


@pytest.mark.parametrize(
    ("encoding", "octets", "reason"),
    [
        ("br", BODY, Reason.UNKNOWN_ENCODING),
        ("gzip, gzip, gzip, gzip", BODY, Reason.UNKNOWN_ENCODING),
        ("gzip", BODY, Reason.NOT_DECOMPRESSIBLE),
        ("deflate", gzip.compress(BODY)[:-3], Reason.NOT_DECOMPRESSIBLE),
        ("gzip", gzip.compress(bytes(101)), Reason.DECOMPRESSED_TOO_LARGE),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(10**6))), Reason.DECOMPRESSED_TOO_LARGE),
    ],
)
def test_what_cannot_be_opened_says_why(encoding: str, octets: bytes, reason: Reason) -> None:
    with pytest.raises(Unreadable) as caught:
        opened(octets, Content(encoding=encoding), max_bytes=100)
    assert caught.value.reason == reason
