"""The end of a paragraph that is found in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.settings.training import LEAD_IN
from charrnn.text.lead_in import lead_in
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary


def found(text: str) -> str:
    vocabulary = Vocabulary.of(text, "character")
    return lead_in(tokenize([text], vocabulary), vocabulary)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("One line\nand another.\n\n" * 40 + '"Last," she said!\n\n"Yes."\n\nThe rest', "another.\n\n"),
        ("a line of verse,\n" * 40 + "no break", "a line of verse,\n"),
        ("Lines in CRLF.\r\nMore.\r\n\r\n" * 40, "More.\r\n\r\n"),
        ("returns\r" * 40, "returns\r"),
        ("}\n\n\n/* C */ int x;\ny;\n" * 40, "}\n\n\n"),  # the blank lines are as many as in the text
        ("trailing \n" * 40, "trailing \n"),
    ],
)
def test_it_is_the_last_of_the_commonest_ends(text: str, end: str) -> None:
    lead = found(text)
    assert lead.endswith(end)
    assert lead in text
    assert len(lead) <= LEAD_IN


@pytest.mark.parametrize("text", ["no line end at all", "three\n\nshort\n\nparagraphs", "line\n" * 20])
def test_a_text_with_few_paragraphs_has_none(text: str) -> None:
    assert found(text) == ""


@given(st.text(alphabet="ab.\n\r ", min_size=1, max_size=600))
def test_it_ends_where_a_paragraph_begins(text: str) -> None:
    lead = found(text)
    assert lead in text
    if lead:
        assert lead[-1] in "\r\n"
        after = {text[place + len(lead) :][:1] for place in range(len(text)) if text.startswith(lead, place)}
        assert after - {"\r", "\n"}
