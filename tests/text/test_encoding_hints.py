"""The reason why a source is no text, as its bytes tell it: to follow the advice gives the text that was meant."""

import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.errors import DataError
from charrnn.sampling.prime import encode_pieces
from charrnn.settings.text import TextConfig
from charrnn.text import encodings
from charrnn.text.encodings import guess
from charrnn.text.vocabulary import Vocabulary
from tests.text.reading import documents_of, read

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)

# A language, some of its sentences, and encodings in which people keep it.
LANGUAGES = {
    "French": (
        "L’été où j’étais très jeune. / Même mon père était déjà là. / « Où est-elle ? » / "
        "Il a payé 5 € à l’hôtel. / Après l’hiver, le cœur en fête, il fut très fâché. / "
        "Ça ne va pas être long, même à Noël.",
        "latin-1 cp1252 iso8859-15 mac-roman cp850 cp437 cp1254 utf-16-le utf-16-be utf-32-le",
    ),
    "German": (
        "Für die größeren Mädchen wäre es schön. / Über die Straße müssen sie können. / "
        "Er ging für 10 Öre hinüber. / "
        "„Während ich hier bin“, sagte er – „würde es gehen.“ / Früher war über uns nur der Himmel.",
        "latin-1 cp1252 iso8859-15 mac-roman cp850 cp1250 cp1257 utf-16-be",
    ),
    "Spanish": (
        "¿Qué más había después? / También está así, según él. / ¡Aquí no! / "
        "El niño sólo tenía un año. / 1º y 2ª más ½.",
        "latin-1 cp1252 iso8859-15 mac-roman cp850 utf-16-le",
    ),
    "Swedish": (
        "Det är på väg från där vi också är. / För att gå på bio är det för dyrt. / Åka när som helst.",
        "latin-1 cp1252 cp850 mac-roman cp1257",
    ),
    "Polish": (
        "Nie wiem, że już się stało. / Było też, które będzie źle. / Że się też śmieję. / Ósma już była, a się śniło.",
        "cp1250 iso8859-2 cp852 utf-16-le mac-latin2",
    ),
    "Czech": (
        "Když jsem byl při tom, ještě není. / Které může však být, už není. / "
        "Protože se to může stát. / Ďábel šel už k ní.",
        "cp1250 iso8859-2 cp852 mac-latin2",
    ),
    "Hungarian": ("Már közöttük van még. / Még nem ő az, már nem. / Már tűz és víz között.", "cp1250 iso8859-2 cp852"),
    "Russian": (
        "Он сказал, что это не так. / Она знала, как его найти. / Для всех, когда если только было. / Ёлка — для меня.",
        "cp1251 koi8-r cp866 iso8859-5 mac-cyrillic koi8-u utf-16-le utf-16-be",
    ),
    "Ukrainian": (
        "Він сказав, що його було видно. / Її їжа від того, що він є. / Ґанок був, що й казати.",
        "cp1251 koi8-u iso8859-5 cp1125 mac-cyrillic",
    ),
    "Greek": (
        "Και το παιδί που είναι για την μητέρα. / Από την πόλη δεν ήρθε. / Άλλα και άλλα για τον Ήλιο.",
        "cp1253 iso8859-7 cp869 cp737 mac-greek",
    ),
    "Turkish": (
        "Bu çok güzel değil, çünkü kadın için böyle. / Bir şey çok kadar gibi. / İğne için ışık çok.",
        "cp1254 iso8859-9 cp857 mac-turkish",
    ),
    "Korean": (
        "그는 학교에서 공부하고 있다. / 한국어 문장이다. / 비가 오는 것이 좋다고 했다. / "
        "그는 말했다. / 물으로 하고 있는 것은 이다.",
        "cp949 euc_kr johab utf-16-le utf-16-be",
    ),
    "Japanese": (
        "彼はそう言った。/ しかし、そのことは知らないから。/ これからです。/ "
        "いた人がいるという。/ ｶﾅでした。/ ありました。",
        "shift_jis cp932 euc_jp utf-16-le",
    ),
    "Chinese": (
        "我们没有什么可以说的。/ 他们就是不是自己的时候了。/ 这个的了。/ 一个人的时候，没有自己。",
        "gb2312 gbk gb18030 big5 utf-16-le",
    ),
    "Chinese, traditional": ("我們沒有什麼可以說的。/ 他們就是不是自己的時候了。/ 這個的了。", "big5 cp950 gb18030"),
    "English": (
        "“It’s here,” he said. / “Don’t go.” / They’re gone — and he’s late… / ‘Well,’ said she. / Don’t. / cafés",
        "cp1252 cp1250 cp1251 mac-roman cp850",
    ),
    "Hebrew": ("שלום עולם. / זה לא כל מה שיש. / הוא אמר את זה.", "cp1255 iso8859-8 cp862"),
    "Arabic": ("قال إن هذا في كل ما كان. / من على الذي لم يكن.", "cp1256 iso8859-6"),
    "Thai": ("ที่นี่เป็นของเขา / ไม่มีอะไรจะพูด", "cp874 iso8859-11"),
    "Vietnamese": ("Tôi không biết gì cả. / Đó là một ngày đẹp.", "cp1258"),
    "Estonian": ("Õhk on hea või halb. / Üks öö oli šokk.", "cp1257 iso8859-13 iso8859-15"),
}
MEANT = [(text.split("/"), encoding) for text, encodings in LANGUAGES.values() for encoding in encodings.split()]

TOLD = "cp1252 cp1250 iso8859-2 cp1251 koi8-r koi8-u cp866 cp1253 cp1254 cp949 cp932 euc_jp gb18030 cp950"


@st.composite
def encoded_texts(draw: st.DrawFn) -> tuple[str, str]:
    """An encoding and a text that it has: sentences of a language in any order, and words made of their letters."""
    sentences, encoding = draw(st.sampled_from(MEANT))
    letters = "".join(sentences)
    made = st.text(st.sampled_from(sorted(set(letters))), max_size=12)
    text = "\n".join(draw(st.lists(st.sampled_from(sentences) | made, min_size=1, max_size=30)))
    return encoding, text.encode(encoding, "ignore").decode(encoding)


@pytest.mark.slow
@settings(max_examples=1500)
@given(case=encoded_texts())
def test_a_guess_gives_the_text_that_was_meant_or_there_is_none(case: tuple[str, str]) -> None:
    encoding, text = case
    data = text.encode(encoding)
    found = guess(data)
    assert found is None or data.decode(found.encoding) == text


@pytest.mark.parametrize(("sentences", "encoding"), MEANT)
def test_a_page_is_told_in_the_encodings_that_are_told(sentences: list[str], encoding: str) -> None:
    """Not all are, but those of most files of each language."""
    text = "\n".join(sentences * 9).encode(encoding, "ignore").decode(encoding)
    found = guess(text.encode(encoding))
    assert found is None or text.encode(encoding).decode(found.encoding) == text
    if encoding in TOLD.split() and "שלום" not in text:
        assert found is not None


@given(data=st.binary(max_size=200))
def test_bytes_by_chance_are_no_text(data: bytes) -> None:
    assert guess(data) is None


def refusal(path: Path, data: bytes, **options: object) -> str:
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert 2 <= len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


def followed(path: Path, said: str) -> str:
    """The text of a file, read as the message advises."""
    settings = dict(re.findall(r"(encoding|errors)='([^']*)'", said))
    return "".join(documents_of(read(path, **settings)))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "utf-32-le", "mac-roman", "utf-16", "utf-32"])
@pytest.mark.parametrize("seed", [None, 1])
def test_advice_that_is_followed_gives_the_text(folder: Path, encoding: str, seed: int | None) -> None:
    text = "\n".join(LANGUAGES["French"][0].split("/"))
    text = text.encode(encoding, "ignore").decode(encoding)
    path = folder / "a.txt"
    said = refusal(path, text.encode(encoding), seed=seed)
    assert followed(path, said) == text


def test_ascii_in_utf16_is_not_learned_with_its_nuls(folder: Path) -> None:
    path = folder / "a.txt"
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        data = "plain text\n".encode(encoding)
        data.decode()  # it is valid UTF-8
        assert f"read it with encoding='{encoding}'" in refusal(path, data)
        assert followed(path, refusal(path, data)) == "plain text\n"
    for text in ("a\0b", "one\0two\0three\0four\0five\0six\0seven\0eight\0nine\0ten\0", "\0" * 20):
        path.write_text(text)
        assert documents_of(read(path)) == (text,)


def test_a_text_that_was_cut_off_is_told(folder: Path) -> None:
    text = "한국어 문장이다.\n" * 9
    path = folder / "a.txt"
    data = (text + "다").encode()[:-1]
    said = refusal(path, data, seed=1)
    assert "ends within a character, so it was cut off" in said
    assert followed(path, said) == text + "\ufffd"
    assert "errors" not in refusal(path, data)  # of a text to be scored, for which there is no such setting
    assert "cut off" not in refusal(path, b"plain caf\xe9")  # it may as well be another encoding


def test_a_text_that_is_damaged_is_told_and_can_be_read_on(folder: Path) -> None:
    text = "한국어 문장이다.\n" * 9
    path = folder / "a.txt"
    data = text.encode().replace("어".encode(), b"\xff\xfe", 2)
    said = refusal(path, data, seed=1)
    assert "it is utf-8 but for 4 places, so it is damaged" in said
    assert "byte 0xff at offset 6, line 1" in said
    assert followed(path, said) == text.replace("어", "\ufffd\ufffd", 2)


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"%PDF-1.4\n" + b"1 0 obj\n" * 9, "is a PDF\nmake text of it first: pdftotext"),
        (b"\0\1\2\3" * 99 + b"\xff", "it is no text"),
        (b"caf\xe9 noir", "its bytes do not tell what it is: name its encoding"),
    ],
)
def test_what_is_no_text_is_told(folder: Path, data: bytes, advice: str) -> None:
    assert advice in refusal(folder / "a.txt", data)
    assert advice in refusal(folder / "a.txt", data, seed=1)
    assert "unit='byte'" not in refusal(folder / "a.txt", data)  # of a text to be scored
    assert documents_of(read(folder / "a.txt", unit="byte")) == (data.decode("latin-1"),)


def test_a_document_of_a_word_processor_is_told(folder: Path) -> None:
    for first, name in {"[Content_Types].xml": "docx", "a.txt": "zip"}.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(first, "text")
    with zipfile.ZipFile(folder / "epub", "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    for name, command in {"docx": "pandoc -t plain", "epub": "pandoc -t plain", "zip": "unzip -p"}.items():
        assert f"make text of it first: {command}" in refusal(folder / name, (folder / name).read_bytes())


def test_another_encoding_than_the_one_named_is_told(folder: Path) -> None:
    path = folder / "a.txt"
    text = "그는 학교에서 공부하고 있다. 비가 오는 것이 좋다고 했다. 똠방각하에서 온 것이다.\n"
    said = refusal(path, text.encode("cp949"), encoding="euc_kr")
    assert "encoding='cp949'" in said
    assert followed(path, said) == text
    said = refusal(path, text.encode(), encoding="cp949")
    assert "it is valid UTF-8: read it with encoding='utf-8'" in said
    assert followed(path, said) == text


def test_damage_is_told_of_encodings_in_which_it_can_be(folder: Path) -> None:
    path = folder / "a.txt"
    assert "it is cp949 but for 1 place" in refusal(path, "똠방".encode("cp949") * 99 + b"\xff.", encoding="cp949")
    assert "do not tell" in refusal(path, "éèß".encode("cp1252") * 99 + b"\x81.", encoding="cp1252")
    assert "but for 1 place" in refusal(path, "“a” “b”".encode() + b"\xff.")


def test_a_prime_in_another_encoding_is_told() -> None:
    vocabulary = Vocabulary.of("abc", "character")
    text = "\n".join(LANGUAGES["French"][0].split("/"))
    with pytest.raises(DataError, match="read it with encoding='cp1252'"):
        list(encode_pieces([text.encode("cp1252")], TextConfig(), vocabulary))


def test_several_files_are_told_together(folder: Path) -> None:
    (folder / "texts").mkdir()
    for number in range(9):
        (folder / f"texts/{number}.txt").write_bytes(b"caf\xe9\n" if number % 2 else b"plain\n")
    (folder / "texts/9.txt").write_bytes(b"%PDF-1.7")
    with pytest.raises(DataError) as caught:
        read("texts", seed=1)
    first, advice, rest = str(caught.value).splitlines()
    place = "is not utf-8: byte 0xe9 at offset 3, line 1 (invalid continuation byte)"
    names = [f"texts/{number}.txt {place}" for number in (1, 3, 5)]
    assert first == f"5 of 10 texts cannot be read: {'; '.join(names)}; and 2 more"
    assert advice.startswith("texts/1.txt: its bytes do not tell")
    assert rest == "errors='skip' leaves out all that cannot be read"


def test_bad_files_can_be_left_out_and_bad_bytes_replaced(folder: Path) -> None:
    for name, data in {
        "a.txt": b"one\n",
        "b.txt": b"tw\xff\xffo\n",
        "c.txt": b"%PDF-1.7\n",
        "d.txt": b"f\xffur\n",
    }.items():
        (folder / name).write_bytes(data)
    skipped = read(folder, errors="skip")
    assert documents_of(skipped) == ("one\n",)
    assert skipped.sha256 == read("a.txt").sha256  # what is left out may change
    assert any("left out 3 of 4 texts: " in notice and "b.txt is not utf-8" in notice for notice in skipped.notices)
    replaced = read("a.txt", "b.txt", "d.txt", errors="replace")
    assert documents_of(replaced) == ("one\ntw\ufffd\ufffdo\nf\ufffdur\n",)
    assert replaced.notices == ("read U+FFFD in 3 places where bytes are not utf-8: b.txt (2), d.txt (1)",)
    with pytest.raises(DataError, match=r"c\.txt is a PDF"):
        read("c.txt", errors="replace")
    with pytest.raises(DataError, match="is not utf-8"):
        read("b.txt", errors="skip")


@in_a_folder
@given(
    parts=st.lists(st.binary(max_size=6) | st.just("한�".encode()), max_size=6),
    encoding=st.sampled_from(["utf-8", "cp949"]),
)
def test_as_many_places_are_told_as_python_replaces(folder: Path, parts: list[bytes], encoding: str) -> None:
    data = b"x" + b"".join(parts)
    (folder / "a.txt").write_bytes(data)
    corpus = read("a.txt", encoding=encoding, errors="replace")
    assert "".join(documents_of(corpus)) == data.decode(encoding, "replace")
    count = len(data.decode(encoding, "replace")) - len(data.decode(encoding, "ignore"))
    told = [notice for notice in corpus.notices if "U+FFFD in" in notice]
    assert len(told) == bool(count)
    assert all(f"in {count} place" in notice for notice in told)


def test_telling_words_are_beyond_ascii() -> None:
    """Others are the same in every encoding, and tell nothing of it."""
    for _, strings in [*encodings._LANGUAGES.values(), *encodings._SCRIPTS.values()]:
        assert not any(word.isascii() for word in strings.split())
