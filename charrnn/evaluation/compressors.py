"""Compressors as models of a text: the bytes by which a file becomes longer when the text follows another one."""

from collections.abc import Callable, Iterator
from importlib import import_module

from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["PPMD_ORDERS", "as_bytes", "ppmd_size", "size_after", "xz_size"]

PPMD_ORDERS = (3, 4, 5, 6, 8, 12)
_PPMD_MEMORY = 2**28
_XZ_DICTIONARY = 2**26  # as `xz -9` has it
_CHUNK = 2**20  # tokens


def as_bytes(tokens: Tokens, vocabulary: Vocabulary) -> bytes:
    """A text in UTF-8, or its bytes, with a newline for the end token of each document.

    Unknown characters, which no model scores, and labels, which every model is told, are left out.
    """
    characters = [vocabulary.to_bytes(each) for each in vocabulary.characters]
    table = [*characters, *(b"" for _ in vocabulary.starts), b"\n", b""]

    def pieces() -> Iterator[bytes]:
        """The bytes of some tokens at a time, as a list of them takes much memory."""
        for start in range(0, len(tokens.ids), _CHUNK):
            yield b"".join([table[token] for token in tokens.ids[start : start + _CHUNK].tolist()])

    return b"".join(pieces())


def size_after(size: Callable[[bytes], int], learned: bytes, text: bytes) -> int:
    """The bytes by which a compressed text becomes longer when another one follows it."""
    return size(learned + text) - size(learned)


def xz_size(text: bytes) -> int:
    """The size of a text that `xz -9e` has compressed. ImportError where Python has no lzma."""
    lzma = import_module("lzma")
    dictionary = min(max(1 << len(text).bit_length(), 4096), _XZ_DICTIONARY)  # no more than it can use
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return len(lzma.compress(text, filters=filters))


def ppmd_size(text: bytes, order: int) -> int:
    """The size of a text that PPMd (Shkarin's variant I) has compressed, with contexts of at most `order` bytes.

    ImportError without `pyppmd`.
    """
    pyppmd = import_module("pyppmd")
    return len(pyppmd.compress(text, max_order=order, mem_size=_PPMD_MEMORY))
