"""deploy/compose.yaml, read by the library that `docker compose` reads it with."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.kit.shutdown import MOST_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHECKER = Path(__file__).parent / "composecheck"
PROFILES = ("buffer", "monitoring")
_SECONDS = 1_000_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("go") is None, reason="apt-get install golang"),
]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services of all profiles, as compose understands them."""
    folder = tmp_path_factory.mktemp("compose")
    shutil.copytree(DEPLOY, folder / "deploy")
    example = (DEPLOY / ".env.example").read_text()
    filled = re.sub(r"(?m)^(\w+)=$", r"\1=made-up-value-0123456789-0123456789", example)
    (folder / "deploy" / ".env").write_text(filled)
    program = folder / "composecheck"
    _run("go", "build", "-o", str(program), ".", folder=CHECKER)
    shown = _run(str(program), "compose.yaml", *PROFILES, folder=folder / "deploy")
    services: dict[str, Any] = json.loads(shown)["services"]
    return services


def _run(*command: str, folder: Path) -> str:
    ended = subprocess.run(  # noqa: S603 (fixed commands)
        command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_service_has_limits_for_its_logs_and_a_pinned_image(services: dict[str, Any]) -> None:
    assert {"postgres", "migrate", "receiver", "work", "n1", "n2", "n3"} <= set(services)
    for name, service in services.items():
        assert service["logging"]["options"]["max-size"], name
        assert service["image"] == "routee-receiver" or re.search(
            r":v?\d+\.\d+", service["image"]
        ), name


def test_the_service_is_given_time_to_end_and_a_role_of_its_own(services: dict[str, Any]) -> None:
    for name in ("receiver", "work"):
        service = services[name]
        assert _seconds(service["stop_grace_period"]) > MOST_SECONDS
        assert service["read_only"]
        url = service["environment"]["RECEIVER_DATABASE_URL"]
        assert url.startswith("postgresql://receiver:")
    assert services["postgres"]["environment"]["POSTGRES_USER"] == "postgres"
    assert "--host=127.0.0.1" in services["postgres"]["healthcheck"]["test"]


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    for service in services.values():
        for volume in service.get("volumes", ()):
            assert volume["type"] != "bind" or Path(volume["source"]).exists(), volume


def _seconds(duration: str | int) -> float:
    if isinstance(duration, int):
        return duration / _SECONDS
    parts = re.findall(r"([\d.]+)([hms])", duration)
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)
