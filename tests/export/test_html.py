"""A page of HTML allows its own style and script, and nothing else."""

import re
from base64 import b64encode
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from charrnn.export.html import document, shown


def digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@given(st.text())
def test_a_text_is_shown_without_markup_and_without_what_drives_a_reader(text: str) -> None:
    found = shown(f"{text}<b>\"'&\x1b\u202e")
    assert not set(found) & set("<>\"'\x1b\u202e\0\x7f")
    assert found.endswith("&lt;b&gt;&quot;&#x27;&amp;\\x1b\\u202e")


def test_the_policy_is_that_of_the_style_and_the_script() -> None:
    source = "".join(document("<a>", ["<p>b</p>\n"], style=".c { d: e }", script="f();\n"))
    (policy,) = re.findall('Content-Security-Policy" content="(.*)">', source)
    (style,) = re.findall("<style>(.*)</style>", source, re.DOTALL)
    (script,) = re.findall("<script>(.*)</script>", source, re.DOTALL)
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src {digest(style)}",
        f"script-src {digest(script)}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert style.endswith(".c { d: e }")
    assert script == "f();\n"
    assert "<title>&lt;a&gt;</title>" in source
    assert source.index("<p>b</p>") < source.index("<script>")


def test_a_page_without_a_script_allows_none() -> None:
    source = "".join(document("a", []))
    assert "script" not in source
    assert "://" not in source
