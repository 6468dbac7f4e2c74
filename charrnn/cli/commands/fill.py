"""`charrnn fill`."""

import os
from itertools import islice
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.config import SamplingConfig, TrainingConfig, Unit, check_range
from charrnn.errors import UsageError
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.sampling.fill import Filling

__all__ = ["command"]

_COLUMNS = ("text", "log-probability", "filling", "following", "gap")
_SHOWN_BESIDE = 20  # characters of the text before and after the gap, in a table


def command(
    text: options.GappedText,
    model: options.Model = None,
    most: options.MostMissing = None,
    blank: options.Blank = "_",
    top: options.Top = 10,
    beam: options.FillBeam = 100,
    allow: options.Allow = SamplingConfig.allow,
    ban: options.Ban = SamplingConfig.ban,
    label: options.Label = SamplingConfig.label,
    unknown: options.Unknown = "error",
    device: options.Device = TrainingConfig.device,
    engine: options.Engine = "auto",
    as_json: options.JsonRows = False,
    quiet: options.Quiet = False,
) -> None:
    """Fill a gap in a text: charrnn fill "she ___ the door"

    Each _ is one missing character; with --most N there are 1 to N, however many _ there are. Fillings are found by
    beam search from what stands before them, and ranked by the probability of themselves and what follows.
    """
    check_range("top", top, least=1, most=2**31)
    check_range("beam", beam, least=1, most=10_000)
    check_range("most", most, least=1, most=1000)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are too small to share

    import numpy as np

    from charrnn.checkpoint.store import load_model
    from charrnn.sampling.chooser import forbidden_ids
    from charrnn.sampling.engines import open_engine
    from charrnn.sampling.fill import fill, find_gap
    from charrnn.sampling.generate import check_label
    from charrnn.sampling.prime import as_model_text, encode_prime

    gap = find_gap(text, blank)
    if most is None and gap.length > 1000:
        raise UsageError(f"the gap must be at most 1000 characters long, got {gap.length}")
    found, checkpoint = load_model(model)
    vocabulary, read_as = checkpoint.vocabulary, checkpoint.config.text
    config = SamplingConfig(allow=allow, ban=ban, until_end=False)
    forbidden = forbidden_ids(vocabulary, config)
    label = check_label(label, vocabulary)
    if vocabulary.labels and label is None:
        raise UsageError(f"the model writes in several manners; say which by --label: {vocabulary.listed_labels}")
    start = vocabulary.start if label is None else vocabulary.start_of(label)
    before = encode_prime(gap.before, read_as, vocabulary, unknown, "the text")
    after = encode_prime(gap.after, read_as, vocabulary, unknown, "the text")
    opened = open_engine(checkpoint, config, engine, device)
    note(f"{found.path} ({found.why}), {opened.device}", quiet=quiet)
    lengths = range(gap.length, gap.length + 1) if most is None else range(1, most + 1)
    fillings = fill(
        opened.engine,
        np.concatenate([[start], before.astype(np.int64)]),
        after.astype(np.int64),
        lengths,
        forbidden=forbidden,
        width=beam,
    )
    around = [as_model_text(each, read_as, vocabulary, "the text") for each in (gap.before, gap.after)]
    listed = [(vocabulary.decode(each.ids), each) for each in islice(fillings, top)]
    if is_terminal("stdout") and not as_json:
        _print_table(around[0], around[1], listed, vocabulary.unit)
        return
    if not as_json:
        note("columns: log-probability, text", quiet=quiet)
    writer = TextWriter("latin-1" if vocabulary.unit == "byte" and not as_json else "utf-8")
    for filling, each in listed:
        whole = filling.join(around)
        if as_json:
            writer.write(
                json_line(
                    {
                        "filling": readable(filling, vocabulary.unit),
                        "text": readable(whole, vocabulary.unit),
                        "log_probability": each.log_probability,
                        "filling_log_probability": each.filling_log_probability,
                        "following_log_probability": each.following_log_probability,
                    }
                )
            )
        else:
            writer.write(columns_line(each.log_probability, _on_one_line(whole)))
    writer.close()


def _print_table(before: str, after: str, listed: "list[tuple[str, Filling]]", unit: Unit) -> None:
    from charrnn.cli.render.display import print_table

    rows = []
    for filling, each in listed:
        whole = f"{before[-_SHOWN_BESIDE:]}{filling}{after[:_SHOWN_BESIDE]}"
        costs = (each.log_probability, each.filling_log_probability, each.following_log_probability)
        shown = [_on_one_line(readable(part, unit).encode("utf-8", "replace").decode()) for part in (whole, filling)]
        rows.append((shown[0], *(f"{cost:.2f}" for cost in costs), shown[1]))
    print_table(_COLUMNS, rows)


def _on_one_line(text: str) -> str:
    for character, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(character, escape)
    return text
