import re
from html.parser import HTMLParser

from app.api.application import api_document
from tests.api.conftest import Service

VOID = {"meta", "br"}


class Links(HTMLParser):
    """Collects what the page links to and what can be linked to, and checks the nesting."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if href := found.get("href"):
            self.links.add(href)
        if name := found.get("id"):
            self.ids.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_docs_need_no_script_and_nothing_from_other_hosts(service: Service) -> None:
    answer = service.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|<link|src=|url\(|@import", answer.text)


def test_the_docs_show_every_call_and_every_schema(service: Service) -> None:
    page = Links()
    page.feed(service.client.get("/docs").text)
    document = api_document()
    calls = {
        node["operationId"]
        for item in document["paths"].values()
        for node in item.values()
        if isinstance(node, dict)
    }
    assert {*calls, *document["components"]["schemas"]} == set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.links - {"openapi.json"} <= {f"#{name}" for name in page.ids}
    assert page.open == ["html"]


def test_an_index_names_every_call_in_words_that_nothing_folds(service: Service) -> None:
    page = service.client.get("/docs").text
    index = page[page.index("<nav>") : page.index("</nav>")]
    assert "<details" not in index
    for path, item in api_document()["paths"].items():
        assert f"<code>{path}</code>" in index
        for node in item.values():
            if isinstance(node, dict):
                assert f'href="#{node["operationId"]}"' in index
                # What is folded is found by the search of some browsers only: examples alone are.
                start = page.index(f'<section id="{node["operationId"]}">')
                before_examples = page[start : page.index("<details", start)]
                assert node["summary"].replace("'", "&#x27;") in before_examples


def test_callbacks_come_last(service: Service) -> None:
    page = service.client.get("/docs").text
    for part in (page[: page.index("</nav>")], page[page.index("</nav>") :]):
        positions = [
            part.index(f">{tag['name'].capitalize()}</h") for tag in api_document()["tags"]
        ]
        names = [tag["name"] for tag in api_document()["tags"]]
        assert max(positions) == positions[names.index("callbacks")]


def test_descriptions_are_shown_as_they_are_meant(service: Service) -> None:
    page = service.client.get("/docs").text
    assert "<li>Names are Routee's own, in camelCase." in page
    assert "<code>changed</code>" in page
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)


def test_there_are_no_other_docs(service: Service) -> None:
    assert service.client.get("/redoc").status_code == 404
