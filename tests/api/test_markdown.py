import pytest

from app.api.markdown import html_of, inline_html_of


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("one\ntwo", "<p>one two</p>"),
        ("one\n\ntwo\n \nthree", "<p>one</p><p>two</p><p>three</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("- a\n  goes on\n- b", "<ul><li>a goes on</li><li>b</li></ul>"),
        ("All:\n- a\n- b\nEnd", "<p>All:</p><ul><li>a</li><li>b</li></ul><p>End</p>"),
        ("`a*b` and **c**", "<p><code>a*b</code> and <strong>c</strong></p>"),
        ("`**a**`", "<p><code>**a**</code></p>"),
        ("**`a`**", "<p>**<code>a</code>**</p>"),
        ("a ` b", "<p>a ` b</p>"),
        ("[feed](#listEvents)", '<p><a href="#listEvents">feed</a></p>'),
        ("[x](https://x.example/?a=1&b)", '<p><a href="https://x.example/?a=1&amp;b">x</a></p>'),
        ("", ""),
    ],
)
def test_the_markdown_of_descriptions(text: str, html: str) -> None:
    assert html_of(text) == html


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
    ],
)
def test_nothing_of_a_text_becomes_markup_of_its_own(text: str) -> None:
    shown = html_of(text) + inline_html_of(text)
    for tag in ("<script", "<img", "<b>", "<i>", 'href="javascript', 'href="data', '"onmouseover'):
        assert tag not in shown
