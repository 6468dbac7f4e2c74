"""How long the end of a text is when compressed: by a model that learned the rest of it, and by gzip, bzip2 and xz.

    python tests/benchmarks/bench_compression.py corpora/tales.txt [--model MODEL] [--validation 0.1]

The model has seen the rest of the text, so each of the others is also given it: by how much longer the whole is than
the rest alone. A model's own size is not in its row, as it is not in eval's bits; it stands below the table. Prints
characters a second, too, for one process that compresses and decompresses.
"""

import argparse
import bz2
import gzip
import lzma
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from charrnn.checkpoint.store import load_model
from charrnn.compression.archive import compressed, decompressed
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.sources import Source
from charrnn.text.spool import Spool

OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip -9": partial(gzip.compress, compresslevel=9),
    "bzip2 -9": partial(bz2.compress, compresslevel=9),
    "xz -9": partial(lzma.compress, preset=9),
}


def timed(data: bytes, convert: Callable[[Source], Iterator[bytes]]) -> tuple[bytes, float]:
    """What becomes of some bytes, and in how many seconds."""
    with Spool(math.inf) as spool:
        spool.append(data)
        start = time.perf_counter()
        return b"".join(convert(Source("bytes", data[:16], len(data), spool))), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--model")
    parser.add_argument("--validation", type=float, default=0.1)
    options = parser.parse_args()

    text = Path(options.text).read_bytes().decode()
    held_out = read_corpus(TextConfig(corpus=(options.text,), validation=options.validation), seed=1).validation
    assert held_out is not None
    rest, end = (part.encode() for part in (text[: -held_out.targets + 1], text[-held_out.targets + 1 :]))
    characters = len(end.decode())
    found, checkpoint = load_model(options.model)

    def row(name: str, size: int, learned: int) -> None:
        figures = f"{size:>8,} | {8 * size / characters:.3f} | {learned:>8,} | {8 * learned / characters:.3f}"
        print(f"| {name:<17} | {figures} |")

    print(f"{characters:,} characters, {len(end):,} bytes, the end of {options.text}; {found.path}\n")
    print("|                   |   alone | bits/character | after the rest | bits/character |\n|---|---|---|---|---|")
    for name, compress in OTHERS.items():
        row(name, len(compress(end)), len(compress(rest + end)) - len(compress(rest)))
    archive, packing = timed(end, partial(compressed, checkpoint=checkpoint))
    again, unpacking = timed(archive, partial(decompressed, checkpoint=checkpoint))
    assert again == end
    print(f"| charrnn compress  |          |       | {len(archive):>8,} | {8 * len(archive) / characters:.3f} |")
    print(f"\nthe model has {found.path.stat().st_size:,} bytes")
    print(f"characters a second: {characters / packing:,.0f} to compress, {characters / unpacking:,.0f} back")


if __name__ == "__main__":
    main()
