"""The routes of pages, whose segments are still percent-encoded."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from starlette.responses import Response

from app.domain.api_key import Scope
from app.errors import MethodNotAllowed, NotFound
from app.web.visit import Visit

Show: TypeAlias = Callable[[Visit], Awaitable[Response]]
_SEGMENT = re.compile(r"\{(\w+)\}")


class PageRoute(NamedTuple):
    """
    One page, or what one of its forms leads to.

    Args:
        path: As /ui/messages/{id}; a segment in braces is one of `Visit.path_values`.
        show: Makes the answer.
        method: GET or POST.
        scope: What the person has to have; None: the page needs no sign-in.
    """

    path: str
    show: Show
    method: str = "GET"
    scope: Scope | None = Scope.READ


class Match(NamedTuple):
    """The routes of one path, by their methods."""

    by_method: Mapping[str, PageRoute]
    values: Mapping[str, str]

    @property
    def needs_person(self) -> bool:
        """Whether any of them needs a sign-in."""
        return any(route.scope is not None for route in self.by_method.values())


class Routes:
    """Finds the route of a path; of two that match, the earlier one."""

    def __init__(self, routes: Iterable[PageRoute]) -> None:
        by_path: dict[str, dict[str, PageRoute]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        self._patterns = [
            (re.compile(_SEGMENT.sub(r"(?P<\1>[^/]+)", path)), routes_of_path)
            for path, routes_of_path in by_path.items()
        ]

    def match(self, path: str) -> Match | None:
        """What there is at *path*."""
        for pattern, by_method in self._patterns:
            if (match := pattern.fullmatch(path)) is not None:
                return Match(by_method, match.groupdict())
        return None

    def require(self, match: Match | None, method: str) -> tuple[PageRoute, Mapping[str, str]]:
        """
        The route for *method* and the values of its path.

        Raises:
            NotFound: there is no page.
            MethodNotAllowed: the page is not for that method.
        """
        if match is None:
            raise NotFound("There is no such page. The links above lead to all there are.")
        route = match.by_method.get(method)
        if route is None:
            raise MethodNotAllowed(
                "Open the page that the form is on, and send it from there.",
                allowed=[*match.by_method, *(["HEAD"] if "GET" in match.by_method else [])],
            )
        return route, match.values
