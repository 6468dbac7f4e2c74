"""The encoding of bytes, told from what is in them, where it is beyond doubt. Knows no files.

Bytes are text in an encoding if they decode in it, without characters that no text has, to words (or, where a script
has no spaces, to characters) that are frequent in a language it is made for. An encoding is named only if no other has
as many of them and reads the bytes differently. The encodings named are those that the Encoding Standard of the web
reads older names as: cp1252 for latin-1, cp949 for EUC-KR, cp932 for Shift_JIS, gb18030 for GB2312.
"""

import codecs
import re
import unicodedata
from functools import cache
from typing import NamedTuple

__all__ = ["Guess", "guess", "is_binary", "wide_encoding"]


class Guess(NamedTuple):
    """An encoding, and the text that bytes are in it, in words."""

    encoding: str
    kind: str


_WESTERN = (
    "für über können müssen würde hätte während größe schön früher même été très déjà être après père mère où "
    "más también está así había después aquí según não são até você então più perché così già però città "
    "där från också när være også på för är että myös sitä tämä hän päivä"
)
_CENTRAL = (
    "się już też będzie która które był było został że při ještě když který protože může však není už "
    "még már között ktorý tiež pretože môže keď"
)
_CYRILLIC = "что это как его она все так для был было когда если только меня який що він його було від това като беше"
_GREEK = "και του της την είναι για από που δεν στο στην τον μια"
_TURKISH = "için çok değil olduğu böyle şöyle bütün göre çünkü kadın nasıl şey"
_LANGUAGES = {
    "cp1252": ("a text of Western Europe", _WESTERN),
    "mac-roman": ("a text of Western Europe, from an old Mac", _WESTERN),
    "cp850": ("a text of Western Europe, from DOS", _WESTERN),
    "cp1250": ("a text of Central Europe", _CENTRAL),
    "iso-8859-2": ("a text of Central Europe", _CENTRAL),
    "cp1254": ("Turkish", _TURKISH),
    "cp1253": ("Greek", _GREEK),
    "cp1251": ("a text in Cyrillic", _CYRILLIC),
    "koi8-r": ("a text in Cyrillic", _CYRILLIC),
    "koi8-u": ("a text in Cyrillic", _CYRILLIC),
    "cp866": ("a text in Cyrillic, from DOS", _CYRILLIC),
    "cp1125": ("a text in Cyrillic, from DOS", _CYRILLIC),
    "iso-8859-5": ("a text in Cyrillic", _CYRILLIC),
    "mac-cyrillic": ("a text in Cyrillic, from an old Mac", _CYRILLIC),
}
_SCRIPTS = {
    "cp949": ("Korean", "이다 에서 으로 하고 하는 있다 있는 것이 것은 그는 니다 었다 았다 한다 했다 에게"),
    "cp932": ("Japanese", "した って から ない こと です ます という れた んだ いた いる ある その この"),
    "euc-jp": ("Japanese", "した って から ない こと です ます という れた んだ いた いる ある その この"),
    "gb18030": ("Chinese", "的 了 我们 他们 这个 一个 没有 什么 自己 可以 就是 不是 说 时候"),
    "cp950": ("Chinese, in traditional characters", "的 了 我們 他們 這個 一個 沒有 什麼 自己 可以 就是 不是 說 時候"),
}
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")

_LEAST_HITS = 3
_LETTERS_A_HIT = 400  # at most
_LEAST_NULS = 8  # by which UTF-16 is told

_NEVER = "¤¦¨¬¯´¸¶\u3164\ufffd"  # which stand where another encoding has letters
_BESIDE_LETTERS = "°©®™"  # symbols that may stand beside a letter
_CONTROLS = "\t\n\r\f\x1a"

_OPEN_QUOTE, _CLOSE_QUOTE = re.compile(r"(?<![^\s(\[—–-])[“‘](?=\S)"), re.compile(r"(?<=\S)[”’](?!\w)")
_APOSTROPHE = re.compile(r"(?<=[a-z])’(?=(?:s|t|re|ll|ve|d|m)\b)")
_QUOTES = "“”‘’"
_PUNCTUATION = frozenset("“”‘’–—…")


def guess(data: bytes) -> Guess | None:
    """The encoding of a text by some of its bytes, which begin with a character; None where there is a doubt."""
    if wide := wide_encoding(data):
        return Guess(wide, "text, two or four bytes a character")
    found = []
    for encoding, (kind, strings) in (_LANGUAGES | _SCRIPTS).items():
        text = _text(data, encoding)
        if text is not None and (encoding in _SCRIPTS or not _has_odd_symbols(text)):
            hits = _hits(text, strings, encoding in _SCRIPTS)
            if hits * _LETTERS_A_HIT > sum(map(str.isalpha, filter(_is_wide, text))):
                found.append((hits, encoding, kind, text))
    if not found:
        return _by_quotes(data)
    hits, encoding, kind, text = max(found, key=lambda each: each[0])
    if any(others == hits and other != text for others, _, _, other in found):
        return None
    return Guess(encoding, kind)


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 with its byte order, for a text in it that has no mark; None for all else."""
    if data.count(0) < _LEAST_NULS:
        return None
    for encoding in _WIDE:
        unit = 4 if "32" in encoding else 2
        text = _text(data[: len(data) // unit * unit], encoding)
        if text and (sum(map(str.isascii, text)) * 5 > len(text) * 3 or _is_of_a_language(text)):
            return encoding
    return None


def _is_of_a_language(text: str) -> bool:
    kinds = ((_LANGUAGES, False), (_SCRIPTS, True))
    return any(_hits(text, strings, is_script) for table, is_script in kinds for _, strings in table.values())


def _hits(text: str, strings: str, is_script: bool) -> int:
    """The number of telling strings in a text; 0 if there are so few that it may be chance."""
    found = _telling(strings, is_script).findall(text.lower())
    return len(found) if len(found) >= _LEAST_HITS and len("".join(set(found))) > 1 else 0


def is_binary(data: bytes) -> bool:
    """True if some bytes are no text in any encoding in which ASCII is ASCII: many are control characters."""
    controls = sum(data.count(byte) for byte in range(32) if chr(byte) not in _CONTROLS + "\x08\x0b\x1b")
    return controls > 8 and controls * 200 > len(data)


def _text(data: bytes, encoding: str) -> str | None:
    """The text of bytes that may end within a character; None if they are no text in the encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeError:
        return None
    is_text = all(character in _CONTROLS or _may_be_text(character) for character in set(text))
    return text if is_text else None


@cache
def _may_be_text(character: str) -> bool:
    return character not in _NEVER and unicodedata.category(character) not in ("Cc", "Cn", "Co", "Cs")


def _is_wide(character: str) -> bool:
    return character > "\x7f"


def _has_odd_symbols(text: str) -> bool:
    """True if a symbol stands beside a letter, as it does where another encoding has a letter."""
    odd = {c for c in filter(_is_wide, set(text)) if c not in _BESIDE_LETTERS and _is_symbol(c)}
    if not odd:
        return False
    symbols = re.escape("".join(odd))
    return bool(re.search(rf"[{symbols}][^\W\d_]|[^\W\d_][{symbols}]", text))


def _is_symbol(character: str) -> bool:
    return character in "ªºµ" or unicodedata.category(character) in ("Sm", "Sc", "Sk", "So", "No", "Lm", "Cf")


@cache
def _telling(strings: str, is_script: bool) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, strings.split()))
    return re.compile(alternatives if is_script else rf"\b(?:{alternatives})\b")


def _by_quotes(data: bytes) -> Guess | None:
    """cp1252 where its quotes are used as quotes, and what else there is reads the same in its sister encodings."""
    text = _text(data, "cp1252")
    if text is None or _has_odd_symbols(text):
        return None
    sisters = [_text(data, name) for name in ("cp1250", "cp1254", "cp1257")]
    letters = {c for c in filter(_is_wide, set(text)) if c not in _PUNCTUATION}
    if letters and any(sister != text for sister in sisters):
        return None
    opened, closed = len(_OPEN_QUOTE.findall(text)), len(_CLOSE_QUOTE.findall(text))
    apostrophes = len(_APOSTROPHE.findall(text))
    within = len(re.findall(r"(?<=\w)’(?=\w)", text))
    if opened + closed + within != sum(map(text.count, _QUOTES)) or closed > opened + apostrophes:
        return None
    return Guess("cp1252", "text with curly quotes") if min(opened, closed) + apostrophes >= 2 else None
