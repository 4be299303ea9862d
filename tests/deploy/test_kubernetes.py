"""What deploy/kubernetes says agrees with itself, with the settings and with the program."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from app.cli import app
from app.cli.capacity import CONNECTIONS_OF_EACH, CONNECTIONS_OF_ONE
from app.cli.serve import _SHUTDOWN_SECONDS
from app.domain.postgres_version import OLDEST_SAFE
from app.kit.shutdown import MOST_SECONDS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
#: For analysts, backups and monitoring.
OTHER_CONNECTIONS = 40


def _documents(pattern: str = "**/*.yaml") -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob(pattern)):
        yield from (document for document in yaml.safe_load_all(path.read_text()) if document)


def _of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {it["metadata"]["name"]: it for it in _documents() if it["kind"] == kind}


DEPLOYMENTS = _of_kind("Deployment")
PODS = {
    name: it["spec"]["template"]["spec"] for name, it in (DEPLOYMENTS | _of_kind("Job")).items()
}
SETTINGS = {
    name: value
    for document in _documents("**/kustomization.yaml")
    for generator in document.get("configMapGenerator", ())
    for name, value in (literal.split("=", 1) for literal in generator["literals"])
}
every_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


@every_pod
def test_a_pod_may_do_nothing_that_it_need_not(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["fsGroup"] == 10_001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in _containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert "memory" in resources["limits"]


@every_pod
def test_a_pod_runs_this_version_by_a_command_that_there_is(pod: dict[str, Any]) -> None:
    program = typer.main.get_command(app)
    for container in _containers(pod):
        assert container["image"] == f"routee-receiver:{VERSION}"
        command, *arguments = container["args"]
        program.commands[command].make_context(command, arguments)  # type: ignore[attr-defined]


def test_the_job_has_the_version_in_its_name_as_it_cannot_be_changed() -> None:
    assert list(_of_kind("Job")) == [f"routee-receiver-migrate-{VERSION.replace('.', '-')}"]
    example = yaml.safe_load((FOLDER / "overlays/example/kustomization.yaml").read_text())
    assert [image["newTag"] for image in example["images"]] == [VERSION]


def test_every_variable_is_a_setting_and_no_secret_has_a_value() -> None:
    given = set(SETTINGS)
    for pod in PODS.values():
        for container in _containers(pod):
            given |= {variable["name"] for variable in container["env"]}
            assert all("value" not in variable for variable in container["env"])
    for secret in _of_kind("Secret").values():
        assert set(secret["stringData"].values()) == {""}
        given |= {key for key in secret["stringData"] if key.isupper()}
    assert given <= {f"RECEIVER_{name.upper()}" for name in Settings.model_fields}
    Settings(**{name.removeprefix("RECEIVER_").lower(): it for name, it in SETTINGS.items()})


def test_secrets_are_made_by_hand_and_all_of_them_are_in_the_example() -> None:
    in_kustomizations = [
        path for it in _documents("**/kustomization.yaml") for path in it.get("resources", ())
    ]
    assert not [path for path in in_kustomizations if "secret" in path]
    named = set(re.findall(r"secretRef: {name: ([\w-]+)}", _text()))
    named |= set(re.findall(r"secretKeyRef: {name: ([\w-]+)", _text()))
    assert named == set(_of_kind("Secret"))
    assert not re.search(r"://[^/\s:…]+:[^/\s@…]+@", _text())


def _text() -> str:
    return "\n".join(path.read_text() for path in sorted(FOLDER.glob("**/*.yaml")))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ports_and_commands_agree(name: str) -> None:
    container = PODS[name]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    arguments = container["args"]
    assert ports["operations"] == int(SETTINGS["RECEIVER_OPERATIONS_PORT"])
    assert arguments[arguments.index("--host") + 1] == "0.0.0.0"  # noqa: S104 (in a pod)
    assert _asked(container) == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    if arguments[0] == "serve":
        assert ports["http"] == int(arguments[arguments.index("--port") + 1])
        service = _of_kind("Service")[name]["spec"]
        assert {port["targetPort"] for port in service["ports"]} == {"http"}
        assert service["selector"] == DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]


def _asked(container: dict[str, Any]) -> dict[str, str]:
    """The path of each probe, all at the port of operations."""
    probes = {name: it["httpGet"] for name, it in container.items() if name.endswith("Probe")}
    assert {it["port"] for it in probes.values()} == {"operations"}
    return {name: it["path"] for name, it in probes.items()}


def test_a_pod_is_given_more_time_to_end_than_it_takes() -> None:
    for name in DEPLOYMENTS:
        assert PODS[name]["terminationGracePeriodSeconds"] > MOST_SECONDS
    drain = float(SETTINGS["RECEIVER_DRAIN_SECONDS"])
    assert drain > Settings().drain_seconds
    # After the drain, if PostgreSQL hangs.
    assert drain + _SHUTDOWN_SECONDS + 6 < MOST_SECONDS


def test_the_database_has_connections_for_all_pods_of_an_upgrade() -> None:
    (scaler,) = _of_kind("HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]["name"]
    replicas = {
        name: scaler["spec"]["maxReplicas"] if name == target else it["spec"]["replicas"]
        for name, it in DEPLOYMENTS.items()
    }
    assert "replicas" not in DEPLOYMENTS[target]["spec"]
    surge = sum(it["spec"]["strategy"]["rollingUpdate"]["maxSurge"] for it in DEPLOYMENTS.values())
    each, one = sum(CONNECTIONS_OF_EACH.values()), sum(CONNECTIONS_OF_ONE.values())
    needed = each * (sum(replicas.values()) + surge) + one
    database = _of_kind("Cluster")["routee-receiver-db"]["spec"]
    assert needed + OTHER_CONNECTIONS <= int(
        database["postgresql"]["parameters"]["max_connections"]
    )


def test_a_commit_is_on_two_servers_of_a_safe_version() -> None:
    database = _of_kind("Cluster")["routee-receiver-db"]["spec"]
    assert database["instances"] == 3
    synchronous = {"method": "any", "number": 1, "dataDurability": "required"}
    assert database["postgresql"]["synchronous"] == {**synchronous, "failoverQuorum": True}
    assert f":{OLDEST_SAFE[0]}.{OLDEST_SAFE[1]}-" in database["imageName"]


def test_the_public_reaches_the_callbacks_alone() -> None:
    (ingress,) = _of_kind("Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/callbacks/"
    assert path["backend"]["service"]["name"] == "routee-receiver-callbacks"
    assert {it["spec"].get("type", "ClusterIP") for it in _of_kind("Service").values()} == {
        "ClusterIP"
    }


def test_policies_budgets_and_spreading_select_pods_that_there_are() -> None:
    labels = [it["spec"]["template"]["metadata"]["labels"] for it in DEPLOYMENTS.values()]
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "PodMonitor"):
        for it in _of_kind(kind).values():
            wanted = it["spec"].get("podSelector", it["spec"].get("selector"))["matchLabels"]
            if "cnpg.io/cluster" not in wanted:
                assert any(wanted.items() <= own.items() for own in labels), it["metadata"]
    for name, it in DEPLOYMENTS.items():
        assert it["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] in name
        assert {spread["topologyKey"] for spread in PODS[name]["topologySpreadConstraints"]} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
