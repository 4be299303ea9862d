"""A Superset with the dashboard of `deploy/superset` in it, asked by its API."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import yaml

from tests.analyst_tools.conftest import HOST, Login
from tests.analyst_tools.tools import PythonTool
from tests.clients.workshop import environment_of_programs, run_commands
from tests.docs.pages import blocks_of
from tests.promises.stage import free_port

EXPORT: Final = Path(__file__).parents[2] / "deploy" / "superset"
#: cachetools and rich are missing from what the package says that it requires.
SUPERSET: Final = PythonTool(
    "superset",
    ("apache-superset==6.1.0", "psycopg2-binary", "cachetools", "rich"),
    newest="2026-06-01",
)
_ACCOUNT: Final = {"username": "admin", "password": "admin"}
_CONFIGURATION: Final = """
SECRET_KEY = "of the tests, {folder}"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db?check_same_thread=false"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
"""
_CONNECTION: Final = "databases/Routee_Receiver.yaml"
_PATIENCE_SECONDS: Final = 300

#: What a filter asks of a query, as the browser sends it.
Filter = Mapping[str, object]


class Superset:
    """A running one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._api = httpx.Client(base_url=f"{url}/api/v1", timeout=_PATIENCE_SECONDS)

    def log_in(self) -> None:
        answer = self._api.post("/security/login", json={**_ACCOUNT, "provider": "db"})
        self._api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        self._api.close()

    def bring(self, archive: Path, login: Login) -> None:
        """Import *archive* as the page does that asks for the file and the password."""
        answer = self._api.post(
            "/dashboard/import/",
            files={"formData": (archive.name, archive.read_bytes(), "application/zip")},
            data={"passwords": json.dumps({_CONNECTION: login.password})},
        )
        assert answer.status_code == 200, answer.text

    def read(self, path: str) -> Any:  # noqa: ANN401 (any JSON)
        """The `result` of what is at *path* of the API."""
        answer = self._api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def ask(self, chart: Mapping[str, Any], *asked: Filter) -> dict[str, Any]:
        """What *chart* of the API's list is answered with the filters *asked*."""
        answer = self._api.post(
            "/chart/data",
            json={
                "datasource": {"id": chart["datasource_id"], "type": "table"},
                "queries": [_query(json.loads(chart["params"]), asked)],
                "result_format": "json",
                "result_type": "full",
            },
        )
        assert answer.status_code == 200, answer.text
        [result] = answer.json()["result"]
        assert result["error"] is None
        assert result["rejected_filters"] == []
        answered: dict[str, Any] = result
        return answered


def _query(params: Mapping[str, Any], asked: Sequence[Filter]) -> dict[str, Any]:
    """What the browser makes of a chart's *params*."""
    columns = [*params.get("groupby", []), *params.get("all_columns", [])]
    if axis := params.get("x_axis"):
        grain = params.get("time_grain_sqla")
        by_time = {"label": axis, "sqlExpression": axis, "expressionType": "SQL"}
        by_grain = by_time | {"timeGrain": grain, "columnType": "BASE_AXIS"}
        columns.insert(0, by_grain if grain else axis)
    metrics = params.get("metrics") or [params[key] for key in ("metric",) if key in params]
    [days] = params["adhoc_filters"]
    filters = [{"col": days["subject"], "op": days["operator"], "val": days["comparator"]}]
    return {
        "columns": columns,
        "metrics": metrics or None,
        "orderby": [json.loads(it) for it in params.get("order_by_cols", [])],
        "row_limit": params.get("row_limit", 100),
        "filters": [it for it in filters if not any("time_range" in one for one in asked)]
        + [_filter(it, days["subject"]) for it in asked],
    }


def _filter(asked: Filter, time_column: str) -> Filter:
    if "time_range" not in asked:
        return asked
    return {"col": time_column, "op": "TEMPORAL_RANGE", "val": asked["time_range"]}


def address_with(name: str, column: str, value: str) -> str:
    """The address of the dashboard where the filter *name* on *column* is set to *value*."""
    text = "'" + value.replace("!", "!!").replace("'", "!'") + "'"
    mask = (
        f"({name}:(id:{name},ownState:(),filterState:(value:!({text})),"
        f"extraFormData:(filters:!((col:{column},op:IN,val:!({text}))))))"
    )
    return f"/superset/dashboard/routee-receiver/?native_filters={quote(mask)}"


def packed(folder: Path, login: Login) -> Path:
    """The archive, made in *folder* as the README of the export says."""
    shutil.copytree(EXPORT / "dashboard", folder / "dashboard")
    file = folder / "dashboard" / _CONNECTION
    connection = yaml.safe_load(file.read_text())
    connection["sqlalchemy_uri"] = (
        f"postgresql+psycopg2://{login.user}:XXXXXXXXXX@{HOST}:{login.port}/{login.database}"
    )
    file.write_text(yaml.safe_dump(connection))
    run_commands(
        blocks_of(EXPORT / "README.md", "console"),
        folder=folder,
        environment=environment_of_programs(),
    )
    return folder / "dashboard.zip"


@contextmanager
def running_superset(folder: Path) -> Iterator[Superset]:
    """A new Superset that keeps what it has in *folder*."""
    SUPERSET.fetch()
    configuration = folder / "superset_config.py"
    configuration.write_text(_CONFIGURATION.format(folder=folder))
    settings = {"SUPERSET_CONFIG_PATH": str(configuration), "FLASK_APP": "superset"}
    account = "--username admin --password admin --firstname A --lastname B --email a@example.com"
    SUPERSET.run(
        ["superset db upgrade", f"superset fab create-admin {account}", "superset init"],
        folder,
        settings,
    )
    port = free_port()
    log = folder / "superset.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (ours)
            [SUPERSET.command("superset"), "run", f"--port={port}", "--with-threads"],
            cwd=folder,
            env=environment_of_programs() | settings,
            stdout=output,
            stderr=output,
        )
    superset = Superset(f"http://{HOST}:{port}")
    try:
        _wait_for(superset.url, process, log)
        superset.log_in()
        yield superset
    finally:
        superset.close()
        process.terminate()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(re.sub(r"\x1b\[\d*m", "", log.read_text())[-4000:])
