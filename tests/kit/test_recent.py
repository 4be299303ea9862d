from app.kit.recent import Recent


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.find("a") == 1
    recent.put("c", 3)
    assert (recent.find("a"), recent.find("b"), recent.find("c")) == (1, None, 3)
    assert len(recent) == 2


def test_what_is_forgotten_on_purpose_is_gone() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.forget("a")
    recent.forget("never there")
    assert recent.find("a") is None
