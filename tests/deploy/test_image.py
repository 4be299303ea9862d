"""
The image is built and run for real: by buildah, on a base that debootstrap makes of Debian.

It runs in a mount namespace of its own, read-only but for /tmp and /data, as the user of the image,
without capabilities. It needs root, `apt-get install buildah debootstrap`, and a package index;
certificates in /usr/local/share/ca-certificates are trusted in the build as well.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.processes import free_port

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_NEEDED = ("buildah", "debootstrap", "unshare", "setpriv")
#: $1: the file system, $2: the data; the rest is the command.
_RUN = """
set -e
root=$1; data=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec env -i $ENVIRONMENT "$(command -v chroot)" "$root" \
    setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all \
    sh -c 'cd /data && exec "$@"' - "$@"
"""
#: $1: the port. It serves until the health check has passed, and ends with what `serve` ends with.
_SERVED = """
export RECEIVER_CALLBACK_SECRETS=Qm3vX9tLk2RwZ7bYc5NdGh8SaPqLzMxE RECEIVER_DRAIN_SECONDS=0
routee-receiver serve --port "$1" &
until routee-receiver healthcheck --port "$1"; do kill -0 $! || break; sleep 1; done
kill -TERM $!
wait $!
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, _NEEDED)),
        reason="needs root, and apt-get install buildah debootstrap",
    ),
]


class Image:
    """The image that was built, and a container's file system of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._data.mkdir()
        os.chown(self._data, 10_001, 10_001)
        base = folder / "base"
        _run(
            *("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"),
            *("bookworm", str(base)),
        )
        container = self._buildah("from", "scratch")
        self._buildah("add", "-q", container, str(base), "/")
        self._buildah("commit", "-q", "--rm", container, "localhost/receiver-base")
        shutil.rmtree(base)
        certificates = "".join(file.read_text() for file in sorted(_CERTIFICATES.glob("*.crt")))
        arguments = {
            "BASE_IMAGE": "localhost/receiver-base",
            "EXTRAS": "embedded",
            "REVISION": COMMIT,
            "VERSION": "1.2.3",
            "INDEX_CERTIFICATE": certificates,
        }
        self._buildah(
            *("build", "--pull-never", "--network", "host", "--format", "docker"),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *("-t", "localhost/routee-receiver", str(ROOT)),
        )
        described = json.loads(
            self._buildah("inspect", "--type", "image", "localhost/routee-receiver")
        )
        #: As Docker shows it.
        self.config: dict[str, Any] = described["Docker"]["config"]
        container = self._buildah("from", "--pull-never", "localhost/routee-receiver")
        self.root = Path(self._buildah("mount", container))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run *command* as the container does, with its environment."""
        environment = " ".join(self.config["Env"])
        inside = ("unshare", "--mount", "sh", "-c", _RUN, "-", str(self.root), str(self._data))
        return subprocess.run(  # noqa: S603 (fixed commands)
            [*inside, *command],
            env=os.environ | {"ENVIRONMENT": environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def _buildah(self, *arguments: str) -> str:
        places = ("--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run"))
        return _run(
            *("buildah", "--storage-driver", "vfs", *places, *arguments), BUILDAH_ISOLATION="chroot"
        ).strip()


def _run(*command: str, **environment: str) -> str:
    ended = subprocess.run(  # noqa: S603 (fixed commands)
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="image-", ignore_cleanup_errors=True) as folder:
        yield Image(Path(folder))


def test_the_image_says_what_it_is(image: Image) -> None:
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert f"SOURCE_COMMIT={COMMIT}" in image.config["Env"]
    assert image.config["User"] == "10001:10001"
    assert image.config["Healthcheck"]["Test"] == ["CMD", "routee-receiver", "healthcheck"]
    assert image.config["Entrypoint"] == ["routee-receiver"]
    assert f"(commit {COMMIT[:12]})" in image.run("routee-receiver", "--version").stdout
    assert image.run("id", "-un").stdout == "receiver\n"


def test_the_image_has_neither_pip_nor_a_compiler(image: Image) -> None:
    found = image.run(
        "sh", "-c", "for name in pip pip3 gcc cc c++ ld as make; do command -v $name; done; :"
    )
    assert (found.returncode, found.stdout) == (0, "")
    assert image.run("python", "-c", "import pip").returncode == 1
    assert image.run("python3", "-m", "ensurepip").returncode == 1
    assert not list((image.root / "venv").rglob("pip*.dist-info"))
    assert not list((image.root / "venv").rglob("hatchling*"))


def test_the_image_can_write_to_tmp_and_data_only(image: Image) -> None:
    for place, code in {"/tmp/x": 0, "/data/x": 0, "/venv/x": 1, "/var/x": 1}.items():  # noqa: S108
        assert image.run("touch", place).returncode == code


def test_the_health_check_runs_and_finds_no_service(image: Image) -> None:
    ended = image.run("routee-receiver", "healthcheck", "--port", "9")
    assert ended.returncode == 1
    assert "refused" in ended.stdout


def test_the_service_runs_in_the_image_and_the_health_check_finds_it(image: Image) -> None:
    ended = image.run("sh", "-c", _SERVED, "-", str(free_port()))
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "ready" in ended.stdout
    assert f"(commit {COMMIT[:12]})" in ended.stderr


def test_the_demo_runs_in_the_image(image: Image) -> None:
    ended = image.run("routee-receiver", "demo")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
