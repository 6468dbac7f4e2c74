"""A page that runs a model, in a real browser: what a person presses and sees."""

import json
import math
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charrnn.api import load
from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.evaluation.evaluate import open_reading
from charrnn.export.model_page import model_page
from charrnn.layout import HEAD_BIAS, HEAD_WEIGHT
from charrnn.settings.model import ModelConfig
from charrnn.settings.page import PageConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.browser import Browser, Tab, needs_browser
from tests.conftest import random_checkpoint
from tests.doubles import labelled_unigram, unigram

pytestmark = [needs_browser, pytest.mark.slow]

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"
MODEL = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)

Opener = Callable[..., AbstractContextManager[Tab]]


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Opener:
    """A tab with the page of a model, once it tells what comes next."""

    def opener(checkpoint: Checkpoint, name: str = "a model", **media: Any) -> AbstractContextManager[Tab]:
        config = PageConfig(precision="fp32")
        (folder / "page.html").write_text("".join(model_page(checkpoint, name, config)), "utf-8")
        return browser.open(folder / "page.html", **media)

    return opener


@pytest.fixture(scope="module")
def demo() -> Checkpoint:
    return from_file(DEMO / "step-00001683.safetensors", training=True)


def set_to(tab: Tab, **values: object) -> None:
    """Set fields of the page, as somebody would, by their names."""
    for name, value in values.items():
        place = f"document.getElementById({json.dumps(name.replace('_', '-'))})"
        tab.value(f"{place}.value = {json.dumps(str(value))}; {place}.dispatchEvent(new Event('input'))")
        tab.value(f"{place}.dispatchEvent(new Event('change'))")


def text_of(tab: Tab, name: str = "text") -> str:
    return str(tab.value(f"document.getElementById('{name}').value"))


def is_idle(tab: Tab) -> None:
    """Wait until the page has written all that it was asked for."""
    tab.wait("document.getElementById('write').textContent == 'Write'")


def bars(tab: Tab) -> dict[str, float]:
    """What comes next, each with its share."""
    found = tab.value(
        "[...document.querySelectorAll('#bars li:not([hidden])')].map((each) => "
        "[each.querySelector('.name').textContent, parseFloat(each.querySelector('.share').textContent) / 100])"
    )
    return dict(found)


def are_next(tab: Tab, checkpoint: Checkpoint, prime: str) -> None:
    """Wait until the bars are what the command `next` says after a prime."""
    from charrnn.export.character_names import name_of
    from charrnn.sampling.distribution import next_candidates
    from charrnn.settings.lookup import NextConfig

    listed = next_candidates(checkpoint, prime, NextConfig(top=10))
    expected = {name_of(each.character): each.probability for each in listed}
    best = json.dumps(next(iter(expected)))
    tab.wait(f"document.querySelector('#bars .name').textContent == {best}")
    found = bars(tab)
    assert list(found) == list(expected)
    assert all(math.isclose(share, expected[name], abs_tol=6e-4) for name, share in found.items())


def test_it_writes_from_a_text_as_the_command_does_and_takes_it_back(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        tab.click("#text")
        tab.type("The river ")
        set_to(tab, temperature=0, length=120, pace=0)
        tab.click("#write")
        is_idle(tab)
        assert text_of(tab) == load(DEMO, device="cpu").sample("The river ", temperature=0, length=120)
        assert tab.text("#progress").startswith("120 characters, ")
        are_next(tab, demo, text_of(tab))
        tab.click("#back")
        assert text_of(tab) == "The river "
        are_next(tab, demo, "The river ")
        assert tab.problems() == []


def test_a_seed_gives_the_same_text_again_and_another_another(demo: Checkpoint, opened: Opener) -> None:
    texts = []
    with opened(demo) as tab:
        for seed in (1, 1, 2, ""):
            set_to(tab, seed=seed, length=60, pace=0)
            tab.click("#write")
            is_idle(tab)
            texts.append(text_of(tab))
            assert len(texts[-1]) == 60
            assert f", seed {seed}" in tab.text("#progress")
            tab.click("#back")
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_it_writes_character_by_character_until_it_is_stopped(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        set_to(tab, length=0, pace=60)
        tab.click("#write")
        seen = set()
        for least in (3, 20, 40):
            tab.wait(f"document.getElementById('text').value.length >= {least}")
            assert tab.text("#write") == "Stop"
            seen.add(text_of(tab))
        tab.click("#write")
        is_idle(tab)
        end = text_of(tab)
        assert len(seen) == 3
        assert all(end.startswith(each) for each in seen)
        assert tab.value("new Promise((r) => setTimeout(r, 300))") is None
        assert text_of(tab) == end
        tab.value("document.getElementById('text').focus()")
        tab.press("Enter", control=True)
        tab.wait("document.getElementById('write').textContent == 'Stop'")
        tab.press("Escape")
        is_idle(tab)
        assert text_of(tab).startswith(end)
        assert tab.problems() == []


def test_a_bar_is_taken_by_click_and_by_key(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        tab.click("#text")
        tab.type("The rive")
        are_next(tab, demo, "The rive")
        first = next(iter(bars(tab)))
        tab.click("#bars li:nth-of-type(1) button")
        assert text_of(tab) == f"The rive{first}"
        are_next(tab, demo, text_of(tab))
        tab.wait(f"document.getElementById('announcer').textContent.startsWith('Took {first}. Next: ')")

        tab.value("document.getElementById('text').focus()")
        focus = "document.activeElement.closest('#bars') !== null"
        for _ in range(4):  # past the buttons
            tab.press("Tab")
            if tab.value(focus):
                break
        assert tab.value(focus)
        characters = {"space": " ", "newline": "\n"}
        for key, place in (("2", 1), ("0", 9), ("Enter", 1)):
            before, shown = text_of(tab), list(bars(tab))
            if key == "Enter":
                tab.press("ArrowDown")
            tab.press(key)
            assert text_of(tab) == before + characters.get(shown[place], shown[place])
            are_next(tab, demo, text_of(tab))
            tab.press("ArrowUp")
        tab.press("Escape")
        assert tab.value("document.activeElement.id") == "text"
        assert tab.problems() == []


TEXT = "The river rose in the night,\nand the parliament adjourned.\nQ€é"


def test_a_pasted_text_is_shaded_as_eval_scores_it(demo: Checkpoint, opened: Opener) -> None:
    score = open_reading(demo, text=TEXT, device="cpu").score()
    with opened(demo) as tab:
        tab.click("#paste")
        tab.type(TEXT)
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        said = tab.text("#score")
        assert abs(float(said.split()[0]) - score.bits_per_character) < 1e-4
        assert said.endswith(
            f"bits per character over {score.characters} characters, {score.unknown} unknown and not counted"
        )
        shown = tab.text("#shaded")
        assert shown == TEXT.replace("\n", "↵\n") + "∎\n"

        characters = list(open_reading(demo, text=TEXT, device="cpu").characters())
        for place in (0, 4, 33):
            tab.point(f"#shaded span:nth-of-type({place + 1})")
            tab.wait(f"document.getElementById('place').value == '{place}'")
            each = characters[place]
            detail = tab.text("#detail")
            assert each.bits is not None
            assert f": {each.bits:.2f} bits, probability " in detail
            assert f"rank {each.rank}. Likeliest: " in detail
            assert detail.count(" %") == 6  # its own, and five others
            levels = [int(name[1:]) for name in tab.value(f"[...{span(place)}.classList]") if name[0] == "l"]
            assert levels == [min(int(each.bits), 10)]
        assert "unknown" in tab.value(f"[...{span(TEXT.index('€'))}.classList]")
        tab.value("document.getElementById('place').focus()")
        before = int(tab.value("document.getElementById('place').value"))
        tab.press("ArrowRight")
        tab.wait(f"document.getElementById('place').value == '{before + 1}'")
        assert tab.value("document.getElementById('place').getAttribute('aria-valuetext')") == tab.text("#detail")
        assert tab.problems() == []


def span(place: int) -> str:
    return f"document.querySelectorAll('#shaded span')[{place}]"


def test_a_document_a_line_is_scored_each_by_itself(opened: Opener) -> None:
    text = TextConfig(documents="line")
    model = random_checkpoint(MODEL, Vocabulary.of("abc", "character"))
    lines = replace(model, config=RunConfig(text=text, model=MODEL))
    score = open_reading(lines, text="ab\n\nabc\nb", device="cpu").score()
    with opened(lines) as tab:
        set_to(tab, paste="ab\n\nabc\nb")
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        said = tab.text("#score")
        assert abs(float(said.split()[0]) - score.bits_per_character) < 1e-4
        assert f" over {score.characters} characters" in said
        assert tab.text("#shaded") == "ab∎\nabc∎\nb∎\n"


LABELS: dict[str, dict[str | None, float]] = {
    "hill": {"b": 0.75, None: 0.25},
    "sea": {"a": 0.5, "b": 0.25, None: 0.25},
}


def test_a_label_is_chosen_for_writing_for_the_bars_and_for_a_score(opened: Opener) -> None:
    with opened(labelled_unigram(LABELS, {"hill": 2, "sea": 1})) as tab:
        assert tab.value("document.getElementById('label-setting').hidden") is False
        assert tab.value("[...document.getElementById('label').options].map((each) => each.text)") == [
            "hill (2)",
            "sea (1)",
        ]
        tab.wait("document.querySelector('#bars .share').textContent == '75.0 %'")
        assert list(bars(tab)) == ["b", "end", "a"]
        set_to(tab, paste="b")
        tab.wait("document.getElementById('score').textContent.startsWith('1.2075 bits')")  # (0.415 + 2) / 2
        set_to(tab, label="sea")
        tab.wait("document.querySelector('#bars .share').textContent == '50.0 %'")
        tab.wait("document.getElementById('score').textContent.startsWith('2.0000 bits')")
        set_to(tab, length=0, pace=0, seed=1)  # the document ends by itself
        tab.click("#write")
        is_idle(tab)
        assert "and the text ends" in tab.text("#progress")
        assert set(text_of(tab)) <= {"a", "b"}
        assert tab.problems() == []


def test_without_labels_none_are_offered(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        assert tab.value("document.getElementById('label-setting').checkVisibility()") is False


HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=document.title='run'>\u202e\u2066&lt;"


def test_hostile_characters_labels_names_and_settings_do_nothing(opened: Opener) -> None:
    characters = "".join(sorted({*HOSTILE, "\u202e", "\0", "\x1b", "\u2028"}))
    label = "<img src=x onerror=document.title='run'></script><script>document.title='run'</script>"
    vocabulary = Vocabulary.of(characters, "character", {label: 1, "b": 1})
    text = TextConfig(corpus=(f"/tmp/{HOSTILE}", "--><!--.txt"), documents="line", labels=True)
    model = random_checkpoint(MODEL, vocabulary)
    hostile = replace(model, config=RunConfig(text=text, model=MODEL), versions={"<b>": "</dl><script>"})
    with opened(hostile, name=HOSTILE) as tab:
        tab.wait("document.querySelector('#bars .share').textContent")
        title = HOSTILE.replace("\u202e", "\\u202e").replace("\u2066", "\\u2066")
        assert tab.value("document.title") == title
        assert tab.text("h1") == title
        assert tab.value("[...document.getElementById('label').options].map((each) => each.text)")[0] == f"{label} (1)"
        tab.click("#text")
        tab.type(HOSTILE)
        set_to(tab, length=200, pace=0, temperature=2)
        tab.click("#write")
        is_idle(tab)
        set_to(tab, paste=HOSTILE + "\x07")
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        shown = tab.text("#shaded")
        assert shown == title + "\\x07∎\n"
        assert tab.value("document.querySelectorAll('img, #shaded script, header script, main script').length") == 0
        assert tab.value("document.title") == title
        names = tab.value("data.vocabulary.names")
        assert {"\\u202e", "\\x00", "\\x1b", "\\u2028"} <= set(names.values())
        assert tab.problems() == []
        # Were there a way in, the policy would close it.
        tab.value(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\"><b style=\"a:b\">')"
        )
        tab.wait("new Promise((answer) => setTimeout(() => answer(true), 200))")
        assert tab.value("document.title") == title
        assert len(tab.problems()) >= 2


def test_what_is_one_character_to_a_reader_is_drawn_as_one(opened: Opener) -> None:
    syllables = unicodedata.normalize("NFD", "한글")
    family, flag, accented = "👩\u200d👧", "🇰🇷", "e\u0301"
    whole = [*"한글", family, flag, accented, "س", "ل", "永"]
    text = TextConfig(normalize="nfd")
    vocabulary = Vocabulary.of("".join(sorted({*syllables, *family, *flag, *accented, *"سل永"})), "character")
    model = replace(random_checkpoint(MODEL, vocabulary), config=RunConfig(text=text, model=MODEL))
    with opened(model) as tab:
        set_to(tab, paste="".join(whole))
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        drawn = tab.value("[...document.querySelectorAll('#shaded span')].map((each) => each.textContent)")
        assert drawn == [unicodedata.normalize("NFD", each) for each in whole] + ["∎"]
        tab.click("#shaded span:nth-of-type(1)")
        assert len(tab.value("[...document.querySelectorAll('#detail p')].map((each) => each.textContent)")) == 3
        assert tab.value("document.getElementById('shaded').dir") == "auto"
        assert tab.problems() == []


def test_half_a_grapheme_is_not_drawn_while_it_is_written(opened: Opener) -> None:
    with opened(unigram({"\u1112": 1.0})) as tab:
        assert tab.value("withoutLast('a\\u1112\\u1161')") == "a"
        assert tab.value("withoutLast('ab👩\\u200d👧')") == "ab"
        assert tab.value("withoutLast('')") == ""


def test_a_model_of_bytes_writes_and_takes_whole_characters(opened: Opener) -> None:
    vocabulary = Vocabulary.of("", "byte")
    model = random_checkpoint(MODEL, vocabulary)
    model.model[HEAD_WEIGHT][:] = 0
    model.model[HEAD_BIAS][:] = -50
    for byte in "한".encode():
        model.model[HEAD_BIAS][byte] = 0
    of_bytes = replace(model, config=RunConfig(text=TextConfig(unit="byte"), model=MODEL))
    with opened(of_bytes) as tab:
        tab.wait("document.querySelector('#bars .share').textContent == '33.3 %'")
        assert list(bars(tab))[:3] == ["0x95", "0x9c", "0xed"]
        for place, seen in ((3, ""), (1, ""), (2, "한")):  # 0xed 0x95 0x9c
            tab.click(f"#bars li:nth-of-type({place}) button")
            assert text_of(tab) == seen
        tab.click("#back")  # takes back only the last byte
        assert text_of(tab) == ""
        tab.click("#bars li:nth-of-type(2) button")
        assert text_of(tab) == "한"
        set_to(tab, paste="한a" + "\u0301" * 300)
        tab.wait("document.getElementById('score').textContent.includes(' over 605 bytes')")
        assert len(tab.value("[...document.querySelectorAll('#detail p')].map((each) => 1)")) == 3
        tab.click("#shaded span:nth-of-type(2)")
        assert len(tab.value("[...document.querySelectorAll('#detail p')].map((each) => 1)")) == 32
        set_to(tab, paste="한a")
        tab.wait("document.getElementById('score').textContent.includes(' over 5 bytes')")
        assert tab.text("#shaded") == "한a∎\n"
        set_to(tab, length=30, pace=0, seed=3)
        tab.click("#write")
        is_idle(tab)
        assert tab.text("#progress").startswith("30 bytes")
        assert tab.problems() == []


def test_characters_that_the_model_never_saw_are_told(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        tab.click("#text")
        tab.type("a€한€")
        tab.wait("document.getElementById('unknown').textContent")
        assert tab.text("#unknown") == "The model never saw: € 한. It reads them as unknown."
        assert tab.problems() == []


def test_weights_that_overflow_are_told(opened: Opener) -> None:
    model = random_checkpoint(replace(MODEL, cell="rnn-relu"), Vocabulary.of("abc", "character"))
    model.model["stack.layers.0.b_W"][:] = model.model[HEAD_WEIGHT][:] = 3e38
    with opened(model) as tab:
        tab.wait("!document.getElementById('problem').hidden")
        assert "so large that they overflow" in tab.text("#problem")


def test_the_written_text_is_given_to_screen_readers_in_sentences(opened: Opener) -> None:
    model = unigram({"a": 0.5, " ": 0.3, ".": 0.2})
    with opened(model) as tab:
        tab.value(
            "globalThis.said = []; new MutationObserver(() => said.push(byId('announcer').textContent))"
            ".observe(byId('announcer'), { childList: true })"
        )
        set_to(tab, length=400, pace=0, seed=5)
        tab.click("#write")
        is_idle(tab)
        tab.wait("said.length")
        said = tab.value("said")
        assert "".join(said) == text_of(tab)
        assert all(each.endswith(".") for each in said[:-1])
        assert tab.value("byId('announcer').getAttribute('aria-live')") == "polite"


def test_every_control_has_a_name_and_the_focus_is_seen(demo: Checkpoint, opened: Opener) -> None:
    with opened(demo) as tab:
        tab.wait("document.querySelector('#bars .share').textContent")
        nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "textbox", "slider", "spinbutton", "combobox", "listbox"}
        controls = [node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]]
        assert len(controls) > 15
        assert [node for node in controls if not node.get("name", {}).get("value")] == []
        tab.value("document.getElementById('text').focus()")
        tab.press("Tab")
        assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_it_follows_the_wishes_for_dark_pages_and_for_no_motion(demo: Checkpoint, opened: Opener) -> None:
    grounds = []
    for dark in (False, True):
        with opened(demo, dark=dark, still=dark) as tab:
            tab.wait("document.querySelector('#bars .share').textContent")
            grounds.append(tab.value("getComputedStyle(document.body).backgroundColor"))
            assert tab.value("document.getElementById('pace').value") == ("0" if dark else "60")
            transition = tab.value("getComputedStyle(document.querySelector('.bar')).transitionDuration")
            assert (transition == "0s") == dark
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(demo: Checkpoint, opened: Opener, width: int) -> None:
    with opened(demo, width=width) as tab:
        set_to(tab, paste="W" * 300)
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        tab.value("document.querySelector('details').open = true")
        assert tab.value("document.documentElement.scrollWidth") <= width


def test_a_character_of_no_probability_has_a_finite_cost(opened: Opener) -> None:
    with opened(unigram({"a": 1.0, "b": 1e-300})) as tab:
        set_to(tab, paste="ab")
        tab.wait("document.getElementById('score').textContent.includes('bits per')")
        cost = (1e4 + 300 * math.log(10)) / math.log(2) / 3  # of b; the end's logit is -10,000
        assert abs(float(tab.text("#score").split()[0].replace(",", "")) - cost) < 1
