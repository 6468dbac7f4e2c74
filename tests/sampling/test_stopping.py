"""Stop texts: found however the pieces fall, with nothing held back that cannot begin one."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn.sampling.stopping import StopSearch

texts = st.text("ab", max_size=30)
stops = st.text("ab", min_size=1, max_size=5)


def run(pieces: list[str], *stops: str) -> tuple[str, bool]:
    search = StopSearch(stops)
    written = "".join(map(search.feed, pieces))
    return written + search.rest(), search.found


@given(st.lists(texts, max_size=8), stops)
def test_one_stop_cuts_the_text_where_find_finds_it(pieces: list[str], stop: str) -> None:
    whole = "".join(pieces)
    assert run(pieces, stop) == ((whole[: whole.find(stop)], True) if stop in whole else (whole, False))


@given(texts, st.lists(stops, min_size=1, max_size=4))
def test_of_many_the_one_complete_first_counts_and_the_longest_of_those(whole: str, several: list[str]) -> None:
    ends = [(whole.find(stop) + len(stop), whole.find(stop)) for stop in several if stop in whole]
    assert run(list(whole), *several) == ((whole[: min(ends)[1]], True) if ends else (whole, False))


@given(texts, st.lists(stops, min_size=1, max_size=4))
def test_only_the_beginning_of_a_stop_is_held_back(whole: str, several: list[str]) -> None:
    search, written = StopSearch(several), ""
    for place, character in enumerate(whole, 1):
        written += search.feed(character)
        if search.found:
            return
        held = whole[len(written) : place]
        assert whole.startswith(written)
        assert not held or any(stop.startswith(held) for stop in several)


def test_without_stops_everything_passes_at_once() -> None:
    search = StopSearch(())
    assert search.feed("abc") == "abc"
    assert search.rest() == ""
