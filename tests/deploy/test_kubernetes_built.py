"""
deploy/kubernetes, built by kustomize and checked by the API server's own code.

That code is a Go module and takes minutes to compile the first time; Go's cache keeps it.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
CHECKER = Path(__file__).parent / "kubecheck"
#: In this order, as the last one tells all Deployments where the database is.
COMPONENTS = ("buffered", "monitoring", "cloudnative-pg")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which("go") is None, reason="apt-get install golang"),
]


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (got := _run("go", "mod", "download", folder=CHECKER)).returncode != 0:
        pytest.skip(f"its modules cannot be had: {got.stderr[-500:]}")
    program = tmp_path_factory.mktemp("kubecheck") / "kubecheck"
    built = _run("go", "build", "-o", str(program), ".", folder=CHECKER)
    assert built.returncode == 0, built.stderr
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy with an empty overlay of its own, to be built."""
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    overlay = tmp_path / "kubernetes/overlays/tried"
    overlay.mkdir()
    return overlay


def _run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (fixed commands)
        command,
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def _write(folder: Path, *components: str, patch: list[dict[str, Any]] | None = None) -> None:
    kustomization: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../../base"],
        "components": [f"../../components/{name}" for name in components],
    }
    if patch:
        target = {"kind": "Deployment", "name": "routee-receiver-callbacks"}
        kustomization["patches"] = [{"target": target, "patch": yaml.safe_dump(patch)}]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))


def _built(checker: Path, folder: Path) -> list[dict[str, Any]]:
    ended = _run(str(checker), str(folder), folder=folder)
    assert ended.returncode == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


@pytest.mark.parametrize("components", [(), *((name,) for name in COMPONENTS), COMPONENTS])
def test_the_base_and_each_component_are_accepted(
    components: tuple[str, ...], checker: Path, folder: Path
) -> None:
    _write(folder, *components)
    documents = _built(checker, folder)
    pods = [
        it["spec"]["template"]["spec"] for it in documents if it["kind"] in {"Deployment", "Job"}
    ]
    databases = {
        container["env"][0]["valueFrom"]["secretKeyRef"]["name"]
        for pod in pods
        for container in [*pod.get("initContainers", ()), *pod["containers"]]
    }
    own = "cloudnative-pg" in components
    assert databases == {"routee-receiver-db-app" if own else "routee-receiver-database"}
    assert len(pods) == (4 if "buffered" in components else 3)
    buffers = str(pods).count("routee-receiver-buffer")
    assert buffers == (2 if "buffered" in components else 0)


def test_the_example_is_accepted_and_gives_image_and_address_alone(checker: Path) -> None:
    documents = _built(checker, FOLDER / "overlays/example")
    images = {
        container["image"]
        for it in documents
        if it["kind"] in {"Deployment", "Job"}
        for pod in [it["spec"]["template"]["spec"]]
        for container in [*pod.get("initContainers", ()), *pod["containers"]]
    }
    assert len(images) == 1
    assert {it["metadata"].get("namespace") for it in documents if it["kind"] != "Namespace"} == {
        "routee-receiver"
    }
    (settings,) = (it["data"] for it in documents if it["kind"] == "ConfigMap")
    assert settings["RECEIVER_PUBLIC_URL"] == "https://receiver.example.com"
    assert not [it for it in documents if it["kind"] == "Secret"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/spec/template/spec/terminationGracePeriod", 40, "unknown field"),
        ("/spec/template/spec/containers/0/livenessProbe/httpGet/port", "wrong_name", "port"),
        ("/spec/selector/matchLabels/app.kubernetes.io~1name", "other", "selector"),
        ("/spec/template/spec/containers/0/securityContext/runAsUser", 0, "runAsUser=0"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(
    checker: Path, folder: Path, path: str, value: object, said: str
) -> None:
    _write(folder, patch=[{"op": "add", "path": path, "value": value}])
    ended = _run(str(checker), str(folder), folder=folder)
    assert ended.returncode == 1
    assert said in ended.stderr


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_builds_the_same(checker: Path) -> None:
    example = FOLDER / "overlays/example"
    ended = _run("kubectl", "kustomize", str(example), folder=FOLDER)
    assert ended.returncode == 0, ended.stderr
    by_kubectl = list(yaml.safe_load_all(ended.stdout))
    ours = _built(checker, example)
    assert sorted(map(str, by_kubectl)) == sorted(map(str, ours))
