"""Rows: the same after edits as laid out anew, within their width, and every character in one of them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.cli.render.widths import columns
from charrnn.cli.render.writing import layout as module
from charrnn.cli.render.writing.layout import Layout, cells, next_place, place_at, previous_place, row_end
from charrnn.cli.render.writing.page import page_rows
from charrnn.writing.manuscript import Manuscript, Writer

TEXTS = st.text("ab \n\t,한漢é\u0301👩\u200d👍🏽🇰🇷ש\x1b\u202e", max_size=60) | st.text("ab  \n", max_size=80)
WIDTHS = st.integers(2, 20)


@given(TEXTS, WIDTHS)
def test_rows_divide_the_text_and_fit(text: str, width: int) -> None:
    layout = Layout(text, width)
    spans = [layout.span(row) for row in range(len(layout.starts))]
    assert "".join(text[start:end] for start, end in spans) == text
    for number, (start, end) in enumerate(spans):
        shown = cells(text, start, end)
        place = start
        for cell in shown:
            assert cell.start == place
            place = cell.end
            assert columns(cell.shown) == cell.width
        own = text[start:end].rstrip(" \t\n")
        seen = cells(text, start, start + len(own))
        assert sum(cell.width for cell in seen) <= width or len(seen) == 1
        assert start < end or number == len(spans) - 1
    assert (text == "" or text.endswith("\n")) == (spans[-1][0] == spans[-1][1])


@given(TEXTS, WIDTHS, st.data())
def test_an_edit_leaves_the_rows_that_there_would_be_anew(text: str, width: int, data: st.DataObject) -> None:
    manuscript = Manuscript(text)
    layout = Layout(text, width)
    for _ in range(4):
        size = len(manuscript.text)
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        change = manuscript.replace(start, end, data.draw(TEXTS), Writer.PERSON)
        layout.change(manuscript.text, change)
        assert layout.starts == Layout(manuscript.text, width).starts


@given(TEXTS)
@example("e\u0301\u0301a")
@example("👩\u200d👩\u200d👧!")
@example("🇰🇷🇰🇷🇰🇷")
def test_cells_are_the_same_from_both_sides(text: str) -> None:
    places, place = [0], 0
    while place < len(text):
        place = next_place(text, place)
        places.append(place)
    back, place = [len(text)], len(text)
    while place > 0:
        place = previous_place(text, place)
        back.append(place)
    assert places == back[::-1]


@pytest.mark.parametrize(
    ("text", "count"), [("👩\u200d👩\u200d👧", 1), ("🇰🇷🇰🇷", 2), ("👍🏽", 1), ("é\u0301", 1), ("한국", 2), ("ab", 2)]
)
def test_letters_with_marks_and_joined_emoji_are_one_cell(text: str, count: int) -> None:
    assert len(cells(text, 0, len(text))) == count


def test_nothing_that_drives_a_terminal_is_shown() -> None:
    text = "a\x1b[31m\u202e\x9b\r\u2028"
    shown = "".join(cell.shown for cell in cells(text, 0, len(text)))
    assert shown == r"a\x1b[31m\u202e\x9b\r\u2028"


@given(TEXTS, WIDTHS, st.data())
def test_a_column_leads_to_a_place_in_its_row(text: str, width: int, data: st.DataObject) -> None:
    layout = Layout(text, width)
    row = data.draw(st.integers(0, len(layout.starts) - 1))
    place = place_at(text, *layout.span(row), data.draw(st.integers(0, 25)), width)
    assert layout.row_of(place) == row


@given(TEXTS, TEXTS, WIDTHS, st.data())
def test_a_page_shows_the_text_and_the_suggestion_and_moves_nothing_before_the_cursor(
    text: str, suggestion: str, width: int, data: st.DataObject
) -> None:
    layout = Layout(text, width)
    cursor = data.draw(st.integers(0, len(text)))
    rows = page_rows(layout, text, cursor, suggestion, 0, 1000)
    whole = {False: text, True: suggestion}
    shown = "".join(whole[part.is_suggested][part.start : part.end] for row in rows for part in row)
    assert shown == text[:cursor] + suggestion + text[cursor:]
    at = layout.row_of(cursor)
    assert [(row[0].start, row[0].end) for row in rows[:at]] == [layout.span(row) for row in range(at)]
    few = page_rows(layout, text, cursor, suggestion, min(1, at), 3)
    assert few == rows[min(1, at) :][:3]


def test_an_edit_lays_out_few_rows_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    manuscript = Manuscript(("word " * 40 + "\n") * 500)
    layout = Layout(manuscript.text, 80)
    change = manuscript.replace(50_000, 50_000, "x", Writer.PERSON)
    counted: list[int] = []
    monkeypatch.setattr(module, "row_end", lambda *arguments: counted.append(0) or row_end(*arguments))
    layout.change(manuscript.text, change)
    assert len(counted) < 8
