"""A text, its writers, its cursor: exact through any edits, and back, and forth again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.writing.manuscript import Manuscript, Writer

Everything = tuple[str, bytes, int, int]


def everything(manuscript: Manuscript) -> Everything:
    return manuscript.text, manuscript.writers, manuscript.cursor, manuscript.anchor


@st.composite
def edited(draw: st.DrawFn) -> tuple[Manuscript, list[Everything]]:
    """A manuscript after some moves and edits, and all its states on the way, each before an edit."""
    manuscript = Manuscript(draw(st.text("ab \né한", max_size=12)))
    states = []
    for _ in range(draw(st.integers(0, 12))):
        size = len(manuscript.text)
        if draw(st.booleans()):
            manuscript.move(draw(st.integers(0, size)))
            manuscript.move(draw(st.integers(0, size)), selects=draw(st.booleans()))
        states.append(everything(manuscript))
        start = draw(st.integers(0, size))
        writer = draw(st.sampled_from(Writer))
        match draw(st.integers(0, 3)):
            case 0:
                manuscript.write(draw(st.text("ab \n👍", max_size=4)), writer)
            case 1:
                manuscript.write(draw(st.sampled_from("ab \n")), Writer.PERSON)
            case 2:
                manuscript.replace(max(manuscript.cursor - 1, 0), manuscript.cursor, "", writer)
            case _:
                manuscript.replace(start, draw(st.integers(start, size)), draw(st.text("xy", max_size=3)), writer)
    return manuscript, states


@given(edited())
def test_every_character_has_a_writer(case: tuple[Manuscript, list[Everything]]) -> None:
    manuscript, _ = case
    assert len(manuscript.writers) == len(manuscript.text)
    assert 0 <= manuscript.cursor <= len(manuscript.text)
    assert 0 <= manuscript.anchor <= len(manuscript.text)


@given(edited())
def test_undo_goes_back_through_states_that_were_and_redo_returns_through_the_same(
    case: tuple[Manuscript, list[Everything]],
) -> None:
    manuscript, states = case
    last = manuscript.text, manuscript.writers
    seen = []
    while manuscript.undo():
        assert everything(manuscript) in states
        seen.append((manuscript.text, manuscript.writers))
    if states:
        assert everything(manuscript)[:2] == states[0][:2]
    back = [(manuscript.text, manuscript.writers)]
    while manuscript.redo():
        back.append((manuscript.text, manuscript.writers))
    assert back == [*reversed(seen), last] if seen else len(back) == 1
    assert (manuscript.text, manuscript.writers) == last


def test_a_step_is_a_word_that_was_typed_and_whatever_the_model_wrote() -> None:
    manuscript = Manuscript()
    for character in "two words":
        manuscript.write(character, Writer.PERSON)
    manuscript.write(" more", Writer.MODEL)
    manuscript.write("!", Writer.PERSON)
    texts = [manuscript.text]
    while manuscript.undo():
        texts.append(manuscript.text)
    assert texts == ["two words more!", "two words more", "two words", "two ", ""]


def test_deleting_key_by_key_is_one_step() -> None:
    manuscript = Manuscript("a word")
    for _ in range(4):
        manuscript.replace(manuscript.cursor - 1, manuscript.cursor, "", Writer.PERSON)
    assert manuscript.text == "a "
    manuscript.undo()
    assert manuscript.text == "a word"


def test_marks_go_with_their_characters() -> None:
    manuscript = Manuscript("mine")
    manuscript.write(" its", Writer.MODEL)
    manuscript.replace(0, 2, "", Writer.PERSON)
    manuscript.replace(3, 4, "x", Writer.PERSON)
    assert manuscript.text == "ne xts"
    assert manuscript.writers == bytes([0, 0, 1, 0, 1, 1])
    assert manuscript.model_share == 3 / 6
    assert Manuscript().model_share is None


def test_an_edit_after_undo_ends_what_could_be_done_again() -> None:
    manuscript = Manuscript()
    manuscript.write("one", Writer.PERSON)
    manuscript.undo()
    manuscript.write("two", Writer.PERSON)
    assert manuscript.redo() is None
    assert manuscript.text == "two"


def test_characters_that_are_not_there_cannot_be_replaced() -> None:
    with pytest.raises(ValueError, match="no characters from 2 to 9"):
        Manuscript("abc").replace(2, 9, "", Writer.PERSON)
