import pytest

from app.api.docs_page import _MARKDOWN


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\n\ntwo\n \nthree", "<p>one</p><p>two</p><p>three</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("All:\n- a\n- b\n\nEnd", "<p>All:</p><ul><li>a</li><li>b</li></ul><p>End</p>"),
        ("`a*b` and **c**", "<p><code>a*b</code> and <strong>c</strong></p>"),
        ("`**a**`", "<p><code>**a**</code></p>"),
        ("**`a`**", "<p><strong><code>a</code></strong></p>"),
        ("a ` b", "<p>a ` b</p>"),
        ("[feed](#listEvents)", '<p><a href="#listEvents">feed</a></p>'),
        ("[x](https://x.example/?a=1&b)", '<p><a href="https://x.example/?a=1&amp;b">x</a></p>'),
        ("", ""),
    ],
)
def test_the_markdown_of_descriptions(text: str, html: str) -> None:
    assert _MARKDOWN.render(text).replace("\n", "") == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "`<img src=x onerror=alert(1)>`",
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        '[x](https://x.example/"onmouseover="alert(1))',
        "[<b>](#x)",
        "- <script>",
        "**<i>**",
        "![x](https://x.example/pixel)",
    ],
)
def test_nothing_of_a_text_becomes_markup_of_its_own(text: str) -> None:
    shown = _MARKDOWN.render(text) + _MARKDOWN.renderInline(text)
    for tag in ("<script", "<img", "<b>", "<i>", 'href="javascript', 'href="data', '"onmouseover'):
        assert tag not in shown
