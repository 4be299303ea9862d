"""Taking a number out of JSON: a recipient's campaign goes on without it, or under a pseudonym."""

import re
from typing import Any

from app.routee.wire import Unreadable, parse, serialise


def redacted_json(
    body: bytes | None, pattern: re.Pattern[str], pseudonym: str, *, leave_out: bool = False
) -> bytes | None:
    """
    *body* with *pseudonym* for whatever *pattern* finds in keys, texts and whole numbers.

    With *leave_out* a text that is nothing but the number goes out of its array: a campaign that is
    asked for again must not name a recipient whom Routee cannot know.
    """
    if not body or not pattern.search(body.decode(errors="replace")):
        return body
    try:
        value = parse(body)
    except Unreadable:
        return pattern.sub(pseudonym, body.decode(errors="replace")).encode()
    return serialise(_Redaction(pattern, pseudonym, leave_out=leave_out).of(value))


class _Redaction:
    def __init__(self, pattern: re.Pattern[str], pseudonym: str, *, leave_out: bool) -> None:
        self._pattern = pattern
        self._pseudonym = pseudonym
        self._leave_out = leave_out

    def of(self, value: Any) -> Any:  # noqa: ANN401 (any JSON)
        if isinstance(value, dict):
            return {self._text(key): self.of(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.of(element) for element in value if not self._goes(element)]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._pseudonym if self._pattern.fullmatch(str(value)) else value
        return value

    def _goes(self, element: object) -> bool:
        return (
            self._leave_out
            and isinstance(element, str)
            and self._pattern.fullmatch(element.strip()) is not None
        )

    def _text(self, text: str) -> str:
        return self._pattern.sub(self._pseudonym, text)
