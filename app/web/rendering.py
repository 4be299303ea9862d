"""Making HTML of the templates, and tagging fragments so that unchanged ones are not sent."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_TEMPLATES: Final = Path(__file__).parent / "templates"
_TAG_CHARACTERS: Final = 24
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August",
                  "September", "October", "November", "December")  # fmt: skip
#: The units in which ages are said: up to so many seconds, in units of so many, called so.
_AGES: Final = ((90, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h"), (None, 86_400, "days"))
#: Less is rounded to 0.0.
_LEAST_PERCENT: Final = 0.05
_MILLISECOND: Final = 0.001


@cache
def templates() -> Environment:
    """All templates, whose values are escaped, and in which a missing value is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        time=time_element,
        age=age,
        duration=duration,
        count=count,
        share=share,
        iso=iso,
        money=money,
    )
    return made


def rendered(
    template: str,
    values: Mapping[str, Any],
    request: Request,
    status: HTTPStatus,
    *,
    fragment: str | None = None,
) -> Response:
    """
    The answer with a whole page, or with its block *fragment* as the script replaces it.

    To templates, the macros of `macros.html` are `ui` and those of `charts.html` are `charts`: what
    they import themselves, their blocks would not know when they are rendered alone.
    """
    made = templates().get_template(template)
    macros = templates().get_template("macros.html").make_module({"visit": values["visit"]})
    charts = templates().get_template("charts.html").module
    context = {**values, "ui": macros, "charts": charts}
    if fragment is None:
        return HTMLResponse(made.render(context), status)
    block = made.blocks.get(fragment)
    pieces = [] if block is None else block(made.new_context(context))
    inner = Markup("".join(pieces))  # noqa: S704 (escaped)
    body = templates().get_template("fragment.html").render({**context, "inner": inner})
    tag = f'W/"{hashlib.sha256(body.encode()).hexdigest()[:_TAG_CHARACTERS]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    return HTMLResponse(body, status, headers={"ETag": tag})


def iso(at: datetime) -> str:
    """*at* as programs read it, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_element(at: datetime | None, style: str = "full") -> Markup:
    """
    *at* for people, in UTC; the script writes it in the zone of the reader.

    The *style* is `full`, with seconds; `exact`, with milliseconds; `short`, to the minute;
    `clock`, without the day; or `day`.
    """
    if at is None:
        return Markup('<span class="none">unknown</span>')
    utc = at.astimezone(UTC)
    day = f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"
    clock = f"{utc:%H:%M:%S}"
    text = {
        "full": f"{day}, {clock} UTC",
        "exact": f"{day}, {clock}.{utc.microsecond // 1000:03} UTC",
        "short": f"{day}, {utc:%H:%M} UTC",
        "clock": f"{clock} UTC",
        "day": day,
    }[style]
    return Markup('<time datetime="{}" data-style="{}">{}</time>').format(iso(at), style, text)


def age(since: timedelta | float | None) -> str:
    """How long something lasts already, in words: 4 s, 40 min, 3 h, 12 days."""
    if since is None:
        return "unknown"
    seconds = max(since.total_seconds() if isinstance(since, timedelta) else since, 0)
    for limit, unit, name in _AGES:
        if limit is None or seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    raise AssertionError


def duration(seconds: float | timedelta | None) -> str:
    """A time that something took: 0.4 s, 12 s, 40 min."""
    if seconds is None:
        return "unknown"
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if abs(value) < _MILLISECOND:
        return "0 s"
    if abs(value) < 1:
        return f"{value:.3f}".rstrip("0") + " s"
    return f"{value:.1f} s" if abs(value) < 10 else age(value)  # noqa: PLR2004 (two figures)


def count(number: float | None) -> str:
    """A number with thousands apart."""
    return "" if number is None else f"{number:,}"


def money(amount: Decimal) -> str:
    """An amount with thousands apart, two decimals or as many more as it has: 1,230.00, 0.0123."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def share(part: float, whole: float) -> str:
    """
    How much *part* is of *whole*, in per cent; empty if there is no whole.

    All and nothing are said only of all and nothing.
    """
    if not whole:
        return ""
    value = 100 * part / whole
    if 0 < value < _LEAST_PERCENT:
        return "< 0.1 %"
    if 100 - _LEAST_PERCENT <= value < 100:  # noqa: PLR2004 (all)
        return "> 99.9 %"
    return f"{value:.1f} %" if 0 < value < 10 or 90 < value < 100 else f"{value:.0f} %"  # noqa: PLR2004
