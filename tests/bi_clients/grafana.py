"""What Grafana's PostgreSQL data source makes of a query before it sends it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}


def expanded(
    query: str, *, since: datetime, until: datetime, variables: Mapping[str, Sequence[str]]
) -> str:
    """
    *query* with its macros and `${variable:sqlstring}` replaced, as the plugin does it.

    *variables* has the values that are chosen of each, all of them for "All".
    """
    first, last = (f"'{time:%Y-%m-%dT%H:%M:%SZ}'" for time in (since, until))
    for name, values in variables.items():
        quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
        query = query.replace(f"${{{name}:sqlstring}}", quoted)
    query = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {first} AND {last}", query)
    query = re.sub(r"\$__timeGroup(Alias)?\(([^(),]+), *'(\d+)([mhd])'\)", _group, query)
    return query.replace("$__timeFrom()", first).replace("$__timeTo()", last)


def _group(found: re.Match[str]) -> str:
    seconds = int(found[3]) * _SECONDS[found[4]]
    grouped = f"floor(extract(epoch from {found[2]})/{seconds})*{seconds}"
    return f'{grouped} AS "time"' if found[1] else grouped
