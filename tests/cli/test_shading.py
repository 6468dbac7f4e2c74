"""Shaded text: what is seen is what was written, in columns that line up, harmless, and as dark as its value."""

import html.parser
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn.cli.render.shading import Colours, colours, picture
from charrnn.export.character_names import escaped, is_joined
from charrnn.export.shaded_page import page
from charrnn.export.shading import SURPRISE, Scale, Shaded, cells, is_dark
from charrnn.messages import safe

STYLE = re.compile(r"\x1b\[[0-9;]*m")
CONTROLS = {"\x1b", "\r", "\x9b", "\u202e", "\0", "\x7f", "\u2028"}
TEXT = st.text(st.sampled_from("ab \t\n한글\u1112\u1161\u11abe\u0301\u200d😀é\x1b\u202e\0\xad") | st.characters())


def shaded(text: str, value: float | None = 1.0) -> list[Shaded]:
    return [Shaded(character, value, repr(character)) for character in text]


def columns(text: str) -> int:
    """Columns that a terminal gives a text, or fewer where a joiner stands between letters."""
    return cell_len(text)


def rows(text: list[Shaded], how: Colours | None, width: int = 80) -> list[str]:
    """The rows of a picture, without the legend and the line below it."""
    shown = "".join(picture(cells(text, SURPRISE), SURPRISE, how, width))
    return shown.split("\n")[2:-1]


def test_a_symbol_stands_below_each_character() -> None:
    bits = {"a": 0.5, "한": 2.0, "b": 9.99, "\n": 10.0, "X": None}
    found = rows([Shaded(c, bits[c]) for c in "a한bX\nb"] + [Shaded(None, 1.5)], None)
    assert found == ["a한bX↵", ".2 9?+", "b∎", "91"]


def test_what_shares_a_place_costs_the_sum() -> None:
    text = "\u1112\u1161\u11abe\u0301\u0323x"  # 한 in jamo, and a letter with two marks
    found = list(cells([Shaded(c, k + 1.0, f"t{k}") for k, c in enumerate(text)], SURPRISE))
    assert [(cell.text, cell.value) for cell in found] == [
        ("\u1112\u1161\u11ab", 1 + 2 + 3),
        ("e\u0301\u0323", 4 + 5 + 6),
        ("x", 7),
    ]
    assert found[0].title == "t0; t1; t2"
    known = list(cells([Shaded("e", 1.0), Shaded("\u0301", None)], SURPRISE))
    assert [cell.value for cell in known] == [1.0]


def test_a_mark_without_a_letter_has_a_place_of_its_own() -> None:
    found = list(cells(shaded("\u0301\n\u0301"), SURPRISE))
    assert [cell.text for cell in found] == ["◌\u0301", "↵", "◌\u0301"]


FAMILY = "👨\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("emoji", "wide"), [(FAMILY, 2), ("👍🏽", 2), ("🇰🇷", 2), ("❤\ufe0f", 2), ("🏳\ufe0f\u200d🌈", 2), ("क\u093f", 1)]
)
def test_what_is_drawn_as_one_is_one_cell_as_wide_as_a_terminal_draws_it(emoji: str, wide: int) -> None:
    assert [cell.text for cell in cells(shaded(f"a{emoji}{emoji}b"), SURPRISE)] == ["a", emoji, emoji, "b"]
    bits = [Shaded("a", 2.0), *shaded(emoji, 0.1), Shaded("b", 3.0)]
    assert rows(bits, None) == [f"a{emoji}b", f"2.{' ' * (wide - 1)}3"]
    assert rows(shaded(emoji * 3), None, 2 * wide)[::2] == [emoji * 2, emoji]


def test_a_joiner_between_letters_joins_no_cells() -> None:
    assert [cell.text for cell in cells(shaded("a\u200db\u200d\x1b"), SURPRISE)] == ["a\u200d", "b\u200d", r"\x1b"]


def test_every_character_has_a_width_or_is_joined() -> None:
    seen = [character for character in map(chr, range(0x110000)) if escaped(character) == character]
    assert [each for each in seen if columns(each) == 0 and not is_joined(each)] == []


def test_marks_without_end_do_not_make_one_endless_cell() -> None:
    found = list(cells(shaded("a" + "\u0301" * 1000), SURPRISE))
    assert max(len(cell.text) for cell in found) <= 40
    assert sum(cell.value or 0 for cell in found) == 1001


def test_a_tab_reaches_to_the_next_stop() -> None:
    found = rows(shaded("abc\td\t"), None)
    assert found == ["abc⇥    d⇥      ", "1111    11"]
    assert rows(shaded("abc\td"), None, width=6) == ["abc⇥  ", "1111", "d", "1"]


@given(TEXT, st.integers(2, 30), st.sampled_from([None, "256", "truecolor"]))
def test_rows_fit_and_hold_nothing_harmful(text: str, width: int, how: Colours | None) -> None:
    for row in rows(shaded(text), how, width):
        plain = STYLE.sub("", row)
        assert safe(plain) == plain
        assert not CONTROLS & set(plain)
        assert columns(plain) <= max(width, 10)  # an escape is never broken
        assert how is None or row.endswith("\x1b[0m")
        assert how or "\x1b" not in row


@given(TEXT, st.sampled_from(["256", "truecolor"]))
def test_colours_change_nothing_of_the_text(text: str, how: Colours) -> None:
    seen = [STYLE.sub("", row) for row in rows(shaded(text), how)]
    assert seen == rows(shaded(text), None)[::2]


@given(TEXT)
def test_all_values_are_in_some_cell(text: str) -> None:
    found = list(cells(shaded(text), SURPRISE))
    assert sum(cell.value or 0 for cell in found) == len(text)
    assert sum(cell.ends_line for cell in found) == text.count("\n")


def test_text_in_bytes_is_shown_as_characters() -> None:
    data = "한é\n".encode() + b"\xe2(\xff\xf0\x9f"
    found = list(cells(shaded(data.decode("latin-1")), SURPRISE, "byte"))
    shown = [("한", 3), ("é", 2), ("↵", 1), (r"\xe2", 1), ("(", 1), (r"\xff", 1), (r"\xf0", 1), (r"\x9f", 1)]
    assert [(cell.text, cell.value) for cell in found] == shown


@given(st.binary(max_size=30))
def test_bytes_that_are_text_are_shown_as_that_text(data: bytes) -> None:
    found = list(cells(shaded(data.decode("latin-1")), SURPRISE, "byte"))
    assert sum(cell.value or 0 for cell in found) == len(data)
    as_text = data.decode("utf-8", "surrogateescape")
    expected = list(cells(shaded(as_text), SURPRISE))
    assert [cell.text for cell in found] == [cell.text for cell in expected]


@pytest.mark.parametrize("how", ["256", "truecolor"])
@pytest.mark.parametrize("scale", [SURPRISE, SURPRISE.on_dark()], ids=["light", "dark"])
def test_each_level_has_a_style_of_its_own_that_can_be_read(how: Colours, scale: Scale) -> None:
    shown = "".join(picture(cells([Shaded("a", bits) for bits in (None, *range(11))], scale), scale, how, 1))
    styles = shown.split("\n")[2:-1]
    assert len(set(styles)) == len(styles) == 12
    for colour in scale.colours[1:]:
        assert colour
        light = [luminance(colour), 0.0 if not is_dark(colour) else 1.0]
        assert (max(light) + 0.05) / (min(light) + 0.05) > 4.5  # WCAG's AA


def test_what_is_more_surprising_stands_out_more_from_its_background() -> None:
    light, dark = ([luminance(c) for c in scale.colours if c] for scale in (SURPRISE, SURPRISE.on_dark()))
    assert light == sorted(light, reverse=True)
    assert dark == sorted(dark)


def luminance(colour: tuple[int, int, int]) -> float:
    """WCAG's relative luminance."""
    parts = [p / 255 / 12.92 if p <= 10 else ((p / 255 + 0.055) / 1.055) ** 2.4 for p in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize(
    ("settings", "terminal", "expected"),
    [
        ({"TERM": "xterm-256color"}, True, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True, "truecolor"),
        ({"TERM": "xterm-direct"}, True, "truecolor"),
        ({"TERM": "xterm-256color"}, False, None),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False, "256"),
        ({"TERM": "xterm-256color", "FORCE_COLOR": "0"}, False, None),
        ({"TERM": "dumb"}, True, None),
        ({}, True, None),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, None),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "FORCE_COLOR": "1"}, True, None),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, "256"),
    ],
)
def test_colours_are_those_that_the_terminal_can_show(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], terminal: bool, expected: Colours | None
) -> None:
    for name in ("TERM", "COLORTERM", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("charrnn.cli.render.shading.is_terminal", lambda _: terminal)
    assert colours() == expected


class Reader(html.parser.HTMLParser):
    """What a page has: its elements, all closed in order, and the text within `pre`."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text, self.titles = "", list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if "pre" in self.open and tag == "span":
            self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self.open:
            self.text += data


def read(text: list[Shaded], title: str = "title") -> tuple[str, Reader]:
    source = "".join(page(cells(text, SURPRISE), SURPRISE, title, lambda: "all <of> it"))
    reader = Reader()
    reader.feed(source)
    reader.close()
    assert reader.open == []
    return source, reader


@given(TEXT)
def test_a_page_shows_the_text_and_nothing_else(text: str) -> None:
    source, reader = read(shaded(text + "<script>&amp;\"'</pre>"), "<b>&\"'")
    expected = list(cells(shaded(text + "<script>&amp;\"'</pre>"), SURPRISE))
    assert reader.text == "".join(cell.text + "\n" * cell.ends_line for cell in expected)
    assert reader.titles == [cell.title for cell in expected]
    assert "<script" not in source
    assert not {name for name, _ in reader.attributes} & {"src", "href", "onclick", "style"}
    assert "://" not in source
    assert "&lt;b&gt;&amp;" in source
    assert "all &lt;of&gt; it" in source


def test_a_page_has_a_class_for_each_level_and_a_rule_for_each_colour() -> None:
    source, _ = read([Shaded("a", bits) for bits in (None, *range(11))])
    shown = re.findall(r'<span class="(\w+)" title', source)
    assert shown == ["unknown", *(f"l{level}" for level in range(11))]
    light, dark = (re.findall(r"^\.(l\d+) {", part, re.MULTILINE) for part in source.rsplit("@media", 1))
    assert light == dark == [f"l{level}" for level in range(1, 11)]


def test_levels_grow_with_the_value() -> None:
    levels = [SURPRISE.level(bits / 4) for bits in range(60)]
    assert all(low <= high for low, high in pairwise(levels))
    assert (levels[0], levels[-1]) == (0, len(SURPRISE.colours) - 1)
    assert len(SURPRISE.labels) == len(SURPRISE.symbols) == len(SURPRISE.colours) == len(SURPRISE.bounds) + 1
