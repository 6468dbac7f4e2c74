"""`charrnn eval --novelty`: the share of a text that is copied, as a table or as data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import columns_line, json_line

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint

__all__ = ["write_novelty"]

_COLUMNS = ("k", "grams", "copied", "share")


def write_novelty(
    checkpoint: "Checkpoint",
    sources: Sequence[str],
    corpus: Sequence[str],
    *,
    encoding: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a row for each K, in a pipe as soon as it is known. Arguments are those of `evaluation.novelty`."""
    from charrnn.cli.render.display import print_table, working
    from charrnn.evaluation.novelty import novelty

    with working("reading", quiet):
        found = novelty(checkpoint, sources, corpus, encoding=encoding)
    for notice in found.notices:
        note(notice, quiet=quiet)
    note(f"K-grams of {found.text} that stand in {found.corpus}", quiet=quiet)
    if is_terminal("stdout") and not as_json:
        with working("counting", quiet):
            shares = list(found.shares)
        print_table(
            ("K", "K-grams", "copied", "share"),
            [(str(each.k), f"{each.grams:,}", f"{each.copied:,}", _percent(each.share)) for each in shares],
        )
        return
    if not as_json:
        note(f"columns: {', '.join(_COLUMNS)}", quiet=quiet)
    writer = TextWriter("utf-8")
    for each in found.shares:
        values = (each.k, each.grams, each.copied, each.share)
        writer.write(json_line(dict(zip(_COLUMNS, values, strict=True))) if as_json else columns_line(*values))
    writer.close()


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
