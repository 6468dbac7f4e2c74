"""`charrnn next`."""

import os
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.stdin import pieces_of, stdin_is_piped, wait_for_stdin
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.character_names import name_of
from charrnn.cli.render.score_rows import as_value, columns_line, json_line
from charrnn.config import Unit, check_range
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.sampling.distribution import Candidate

__all__ = ["command"]

_COLUMNS = ("rank", "character", "probability", "nats", "bits")
_BAR = 40  # columns for a probability of 1
_EIGHTHS = "▏▎▍▌▋▊▉█"


def command(
    prime: options.Prime = None,
    prime_file: options.PrimeFile = None,
    model: options.Model = None,
    top: options.Top = 10,
    label: options.Label = None,
    unknown: options.Unknown = "error",
    as_json: options.JsonRows = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell what comes next: charrnn next --prime "hello"

    The likeliest characters after a text, and the end of the document, with their probabilities.
    """
    if prime is not None and prime_file is not None:
        raise UsageError("--prime and --prime-file both give the prime; use one of them")
    check_range("top", top, least=1, most=2**31)
    if prime is None and prime_file is None and stdin_is_piped():
        wait_for_stdin(quiet=quiet)
        prime_file = "-"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one character's products are too small to share

    from charrnn.checkpoint.store import load_model
    from charrnn.cli.render.display import print_table
    from charrnn.sampling.distribution import candidates
    from charrnn.sampling.generate import check_label
    from charrnn.sampling.numpy_engine import NumpyEngine
    from charrnn.sampling.prefill import read_prime, started
    from charrnn.sampling.prime import encode_pieces, encode_prime

    found, checkpoint = load_model(model)
    vocabulary = checkpoint.vocabulary
    label = check_label(label, vocabulary)
    if vocabulary.labels and label is None:
        raise UsageError(f"the model writes in several manners; say which by --label: {vocabulary.listed_labels}")
    text = checkpoint.config.text
    if prime_file is not None:
        ids = encode_pieces(pieces_of(prime_file), text, vocabulary, unknown)
    else:
        ids = iter([encode_prime(prime or "", text, vocabulary, unknown)])
    note(f"{found.path} ({found.why})", quiet=quiet)
    engine = NumpyEngine(checkpoint.config.model, checkpoint.model)
    start = vocabulary.start if label is None else vocabulary.start_of(label)
    primed = read_prime(engine, started(engine, start), ids)
    listed = candidates(primed.logits[0], vocabulary, top)
    if is_terminal("stdout") and not as_json:
        print_table(("next", "probability", "bits", ""), [_row(each, vocabulary.unit) for each in listed])
        return
    if not as_json:
        note(f"columns: {', '.join(_COLUMNS)}", quiet=quiet)
    writer = TextWriter("utf-8")
    for each in listed:
        costs = (each.probability, each.nats, each.bits)
        if as_json:
            values = {"rank": each.rank, **as_value(each.character, vocabulary.unit)}
            writer.write(json_line({**values, **dict(zip(_COLUMNS[2:], costs, strict=True))}))
        else:
            writer.write(columns_line(each.rank, name_of(each.character, vocabulary.unit), *costs))
    writer.close()


def _row(candidate: "Candidate", unit: Unit) -> tuple[str, str, str, str]:
    """A name, two numbers and a bar."""
    eighths = round(candidate.probability * _BAR * 8)
    bar = _EIGHTHS[7] * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
    bits = "-" if candidate.bits is None else f"{candidate.bits:.2f}"
    return name_of(candidate.character, unit), f"{candidate.probability:.2%}", bits, bar
