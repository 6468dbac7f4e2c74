"""Sources that are not text in their encoding: the places, the reason as far as the bytes tell it, and a way on."""

import codecs
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.settings.text import TextConfig
from charrnn.text.decoding import NotDecodableError, decoded, encoding_of
from charrnn.text.encodings import guess, is_binary
from charrnn.text.sources import Source

__all__ = ["about_replaced", "error_of", "listed", "without_undecodable"]

_SAMPLE = 2**20  # bytes by which an encoding is told
# Characters beyond ASCII that are right, for each place that is not, in a text that is damaged: in UTF-8 few are by
# chance, and in other encodings many.
_GOOD_FOR_BAD, _GOOD_ELSEWHERE = 3, 100


def listed(names: Sequence[str], separator: str = ", ", most: int = 3) -> str:
    """The first names, at most so many, and the number of the others."""
    more = f"{separator.strip(', ')} and {len(names) - most:,} more" if len(names) > most else ""
    return separator.join(names[:most]) + more


def without_undecodable(sources: list[Source], config: TextConfig, *, learns: bool) -> tuple[list[Source], list[str]]:
    """The sources that are text in the encoding of `config`, and a notice of the others.

    Raises:
        DataError: none of them is.
    """
    problems = {id(source): problem for source in sources if (problem := _problem(source, config))}
    if not problems:
        return sources, []
    if len(problems) == len(sources):
        raise error_of(sources, config, learns=learns)
    told = listed([f"{each.source.name} {each.what}" for each in problems.values()], "; ")
    notice = f"left out {len(problems):,} of {counted(len(sources), 'text')}: {told}"
    return [source for source in sources if id(source) not in problems], [notice]


def about_replaced(replaced: Counter[str], config: TextConfig) -> list[str]:
    """A notice of bytes that were replaced, by the sources' names."""
    counts = {name: count for name, count in replaced.items() if count}
    if not counts:
        return []
    total = sum(counts.values())
    told = listed([f"{name} ({count:,})" for name, count in counts.items()])
    return [f"read U+FFFD in {counted(total, 'place')} where bytes are not {config.encoding}: {told}"]


def error_of(sources: Sequence[Source], config: TextConfig, *, learns: bool) -> DataError:
    """The error for sources of which at least one is not text: which, where, why, and what to do.

    Args:
        learns: the text is to be learned, by a command that has all settings of a text.
    """
    problems = [problem for source in sources if (problem := _problem(source, config))]
    first, *others = problems
    advice = first.advice or _advice(first, config, learns=learns)
    if not others:
        return DataError(f"{first.source.name} {first.what}\n{advice}")
    told = listed([f"{each.source.name} {each.what}" for each in problems], "; ")
    how_many = f"{len(problems):,} of {counted(len(sources), 'text')}"
    lines = [f"{how_many} cannot be read: {told}", f"{first.source.name}: {advice}"]
    if learns and len(problems) < len(sources):
        lines.append(f"{named('errors', 'skip')} leaves out all that cannot be read")
    return DataError("\n".join(lines))


def _problem(source: Source, config: TextConfig) -> NotDecodableError | None:
    try:
        for _ in decoded(source, config, source.chunks()):
            pass
    except NotDecodableError as error:
        return error
    return None


def _advice(problem: NotDecodableError, config: TextConfig, *, learns: bool) -> str:
    """The advice about a source with bytes that are not in the encoding, by what they are."""
    source, is_utf8 = problem.source, encoding_of(config) == "utf-8"
    if not is_utf8 and _is_in(source, "utf-8"):
        return f"it is valid UTF-8: read it with {named('encoding', 'utf-8')}"
    if is_utf8 and (damage := _damage(problem, config, learns=learns)):
        return damage
    sample = _sample(source, problem.offset or 0)
    bytes_are = f"learn the bytes themselves with {named('unit', 'byte')}"
    if is_binary(sample):
        return f"it is no text, by its control characters: leave it out{f', or {bytes_are}' if learns else ''}"
    found = guess(sample)
    if found and _is_in(source, found.encoding):
        return f"as {found.encoding} it is {found.kind}: read it with {named('encoding', found.encoding)}"
    if damage := _damage(problem, config, learns=learns):
        return damage
    usual = "cp1252 (usual in Western Europe), cp1250 (in Central Europe) or cp1251 (for Cyrillic)"
    return f"its bytes do not tell what it is: name its {named('encoding')}, such as {usual}" + (
        f", or {bytes_are}" if learns else ""
    )


def _is_in(source: Source, encoding: str) -> bool:
    return _problem(source, TextConfig(encoding=encoding)) is None


def _damage(problem: NotDecodableError, config: TextConfig, *, learns: bool) -> str | None:
    """The advice about a text that is right but for its end or a few places; None if it is not.

    Of an encoding with a byte for each character none can be told, as all bytes are right in most.
    """
    each = bytes(range(256)).decode(config.encoding, "replace")
    if len(each) == 256 and each.count("\ufffd") < 128:
        return None
    source, replaced = problem.source, Counter[str]()
    good = 0
    try:
        for text in decoded(source, replace(config, errors="replace"), source.chunks(), replaced):
            good += sum(character > "\x7f" for character in text)
    except NotDecodableError:  # lone surrogates, or a codec that replaces nothing
        return None
    bad = replaced[source.name]
    good -= bad
    go_on = (
        f"go on with {named('errors', 'replace')}, which reads U+FFFD there"
        if learns
        else f"leave the bytes out: iconv -c -f {config.encoding} -t utf-8 FILE > TEXT"
    )
    if good > 1 and _is_sound_but_for_the_end(source, config):
        return f"it ends within a character, so it was cut off: get it whole, or {go_on}"
    if good >= bad * (_GOOD_FOR_BAD if encoding_of(config) == "utf-8" else _GOOD_ELSEWHERE):
        places = counted(bad, "place")
        return f"it is {config.encoding} but for {places}, so it is damaged: get a sound copy, or {go_on}"
    return None


def _is_sound_but_for_the_end(source: Source, config: TextConfig) -> bool:
    decoder = codecs.getincrementaldecoder(config.encoding)()
    try:
        for chunk in source.chunks():
            decoder.decode(chunk)  # without being told of the end
    except UnicodeError:
        return False
    return True


def _sample(source: Source, offset: int) -> bytes:
    """Bytes around an offset, from the beginning of the text or of a line on."""
    start, place, parts = max(offset - _SAMPLE // 2, 0), 0, []
    for chunk in source.chunks():
        parts.append(chunk[max(start - place, 0) : max(start + _SAMPLE - place, 0)])
        place += len(chunk)
        if place >= start + _SAMPLE:
            break
    sample = b"".join(parts)
    return sample[sample.find(b"\n") + 1 :] if start else sample
