"""Notebooks and programs that read Arrow get what the views hold, with types that compute."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.analyst_tools.conftest import VIEWS, Login, Note, asked
from tests.analyst_tools.scene import CAMPAIGNS
from tests.analyst_tools.tools import PROGRAMS, PythonTool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PANDAS: Final = PythonTool("pandas", ("pandas==3.1.1", "sqlalchemy", "psycopg2-binary"))
POLARS: Final = PythonTool(
    "polars", ("polars==2.1.0", "adbc-driver-postgresql", "connectorx", "pyarrow")
)
ADBC: Final = PythonTool("adbc", ("adbc-driver-postgresql==1.13.0", "pyarrow"))
MESSAGES: Final = sum(made.messages for made in CAMPAIGNS)


def _said(tool: PythonTool, program: str, login: Login, folder: Path) -> dict[str, Any]:
    tool.fetch()
    said: dict[str, Any] = json.loads(
        tool.run([f"python {PROGRAMS / program}"], folder, login.environment)
    )
    return said


async def test_pandas(login: Login, note: Note, tmp_path: Path) -> None:
    assert _said(PANDAS, "pandas_frame.py", login, tmp_path) == {
        "messages": MESSAGES,
        "rows": MESSAGES,
        "price": str(await asked(login, "SELECT sum(price) FROM messages")),
        "people": MESSAGES,
        "rate": "float64",
        "time": "datetime64",
        "zone": "UTC",
    }
    note("pandas", PANDAS.version, "read two views as frames, one of them in chunks")


async def test_polars(login: Login, note: Note, tmp_path: Path) -> None:
    assert _said(POLARS, "polars_frame.py", login, tmp_path) == {
        "messages": MESSAGES,
        "rows": [MESSAGES, MESSAGES],
        "price": [str(await asked(login, "SELECT sum(price) FROM messages"))] * 2,
        "people": MESSAGES,
        "types": ["String", "Datetime(time_unit='us', time_zone='UTC')"],
        "rate": "Float64",
    }
    note("polars", POLARS.version, "read a view by ADBC and by ConnectorX")


def test_adbc(login: Login, note: Note, tmp_path: Path) -> None:
    assert _said(ADBC, "adbc_table.py", login, tmp_path) == {
        "views": VIEWS,
        "rows": MESSAGES,
        "people": MESSAGES,
        "spring": 720,
        "types": ["string", "timestamp[us, tz=UTC]", "double"],
    }
    note("ADBC", ADBC.version, "listed the views, read one as an Arrow table, bound a parameter")
