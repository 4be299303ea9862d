"""The search box: from an id, a name, a label or a telephone number to what it is of."""

from typing import Final, NamedTuple

from starlette.responses import Response

from app.domain.phone_number import canonical_number
from app.kit.blanks import trimmed
from app.services.dashboard.search import Found, FoundNumber, find_named, find_number
from app.web.fields import MAX_TEXT_CHARACTERS
from app.web.pages.replies import reply_lines
from app.web.routes import PageRoute
from app.web.visit import Visit

_NOTHING: Final = Found()
_NO_NUMBER: Final = FoundNumber()


class _Search(NamedTuple):
    text: str
    #: The telephone number that it spells; None if it spells none, or may not be searched for.
    number: str | None
    named: Found
    by_number: FoundNumber

    def targets(self, visit: Visit) -> list[str]:
        """The addresses of all that was found."""
        found = [visit.url("/ui/campaigns", one.id) for one in self.named.campaigns]
        if self.named.message is not None:
            found.append(visit.url("/ui/messages", self.named.message))
        if self.named.label is not None and visit.may_be_in_address(self.named.label):
            found.append(visit.url("/ui/messages", label=self.named.label))
        match self.by_number.messages:
            case [only]:
                found.append(visit.url("/ui/messages", only))
            case [first, *_]:
                found.append(visit.url("/ui/messages", number_of=first))
        return found


async def search(visit: Visit) -> Response:
    """Lead to the one thing that is called so; else show what there is."""
    form = await visit.form()
    found = await _found(visit, form.get("q", ""), is_posted=True)
    targets = found.targets(visit)
    if len(targets) == 1:
        return visit.to(targets[0])
    if found.number is None and found.text and visit.may_be_in_address(found.text):
        return visit.to(visit.url("/ui/search", q=found.text))
    # A number must not stand in an address.
    return await _results(visit, found)


async def show_results(visit: Visit) -> Response:
    """What is called as the query says."""
    return await _results(visit, await _found(visit, visit.query.get("q", ""), is_posted=False))


async def _found(visit: Visit, given: str, *, is_posted: bool) -> _Search:
    text = trimmed(given)
    if not text or "\0" in text or len(text) > MAX_TEXT_CHARACTERS:
        return _Search(text[:MAX_TEXT_CHARACTERS], None, _NOTHING, _NO_NUMBER)
    number = canonical_number(text) if is_posted else None
    reads = visit.parts.reads
    return _Search(
        text,
        number,
        await find_named(reads, text),
        _NO_NUMBER if number is None else await find_number(reads, number),
    )


async def _results(visit: Visit, found: _Search) -> Response:
    is_address = visit.request.method == "GET"
    return visit.page(
        "search.html",
        title="Search",
        text=visit.number(found.number) if found.number else found.text,
        found=found.named,
        by_number=found.by_number,
        is_number=found.number is not None,
        is_number_in_address=is_address and canonical_number(found.text) is not None,
        targets=found.targets(visit),
        replies=await reply_lines(visit, found.by_number.replies),
    )


ROUTES: Final = (
    PageRoute("/ui/search", search, "POST"),
    PageRoute("/ui/search", show_results),
)
