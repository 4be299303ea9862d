"""The examples of `/docs` are calls that the service takes."""

import json
import shlex
from urllib.parse import urlsplit

import pytest

from app.api.application import api_document
from app.api.docs_examples import examples_of
from app.api.document.operations import Operation, operations_in
from app.domain.api_key import Scope
from tests.api.conftest import SECRET, Service

DOCUMENT = api_document()
OPERATIONS = {one.node["operationId"]: one for one in operations_in(DOCUMENT)}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_each_call_has_an_example_that_is_answered(service: Service, operation: Operation) -> None:
    examples = examples_of(operation, DOCUMENT)
    words = shlex.split(examples["curl"].replace("YOUR-CALLBACK-SECRET", SECRET))
    assert words[0] == "curl"
    (url,) = (word for word in words if word.startswith("http://127.0.0.1:8000/"))
    bodies = [words[at + 1] for at, word in enumerate(words) if word == "-d"]
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    if "Authorization" in headers:
        assert headers["Authorization"] == "Bearer $KEY"
        (scope,) = operation.node["security"][0].values()
        # Another test's recipients must not be erased: so far, the call is as good as its key.
        is_erasing = operation.node["operationId"] == "eraseRecipient"
        headers |= service.bearer(Scope.READ if is_erasing else Scope(scope[0]))
    answer = service.client.request(
        operation.method, urlsplit(url).path, headers=headers, content="".join(bodies) or None
    )
    if answer.is_success:
        return
    # Ids of the examples are not known here, and their sender is not one of the simulated Routee.
    slug = answer.json()["type"].rpartition(":")[2]
    assert slug in {"not-found", "forbidden", "routee-refused", "campaign-not-unconfirmed"}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_the_languages_say_the_same(operation: Operation) -> None:
    examples = examples_of(operation, DOCUMENT)
    assert list(examples) == ["curl", "Python", "JavaScript"]
    words = shlex.split(examples["curl"])
    (url,) = (word for word in words if word.startswith("http"))
    asked = []

    class _Httpx:
        @staticmethod
        def request(*given: object, **options: object) -> "_Httpx":
            asked.append((given, options))
            return _Httpx()

        def raise_for_status(self) -> None: ...

        def json(self) -> None: ...

        text = ""

    class _Os:
        environ = {"KEY": "$KEY"}  # noqa: RUF012

    source = examples["Python"].replace("import httpx\n", "").replace("import os\n", "")
    exec(compile(source, "example", "exec"), {"httpx": _Httpx, "os": _Os, "print": repr})  # noqa: S102
    ((given, options),) = asked
    assert given == (operation.method.upper(), url)
    assert json.dumps(url) in examples["JavaScript"]
    if "-d" in words:
        body = json.loads(words[words.index("-d") + 1])
        assert options["json"] == body
        shown = examples["JavaScript"].partition("JSON.stringify(")[2].rpartition("),\n")[0]
        assert json.loads(shown) == body
