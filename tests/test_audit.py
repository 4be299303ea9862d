from tests.audit import LOCK, pins


def test_every_pin_of_the_lock_is_audited_with_its_marker() -> None:
    lock = LOCK.read_text()
    found = pins(lock)
    assert len(found) == lock.count("==") - sum(pin.count("==") - 1 for pin in found)
    assert "fastapi" in {pin.partition("==")[0] for pin in found}
    assert pins("a==1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\nb[c]==2 \\\n") == [
        "a==1 ; sys_platform == 'win32'",
        "b[c]==2",
    ]
