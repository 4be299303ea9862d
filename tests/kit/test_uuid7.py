import time
from uuid import RFC_4122

from app.kit.uuid7 import uuid7


def test_a_new_uuid_has_version_7_and_the_current_time() -> None:
    made = uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert abs((made.int >> 80) - time.time() * 1000) < 1000


def test_later_uuids_sort_later_and_all_differ() -> None:
    first = uuid7()
    time.sleep(0.002)
    many = {uuid7() for _ in range(1000)}
    assert len(many) == 1000
    assert first < min(many)
