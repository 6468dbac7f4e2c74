"""`charrnn eval`."""

import json
import math

from charrnn.cli import options
from charrnn.cli.terminal import TextWriter, is_terminal, note
from charrnn.config import TrainingConfig, check_range

__all__ = ["command"]


def command(
    text: options.Text = None,
    model: options.Model = None,
    protocol: options.Protocol = "carried",
    window: options.Window = 256,
    encoding: options.TextEncoding = None,
    device: options.Device = TrainingConfig.device,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score a text: charrnn eval held-out.txt

    How many bits a character costs the model; every document's end token counts as one character.
    """
    check_range("window", window, least=1, most=2**30)

    from charrnn.checkpoint.store import load_model
    from charrnn.cli.display import score_table, working
    from charrnn.evaluation.evaluate import evaluate

    found, checkpoint = load_model(model)
    note(f"{found.path} ({found.why})", quiet=quiet)
    with working("scoring", quiet):
        result = evaluate(
            checkpoint, tuple(text or ()), encoding=encoding, protocol=protocol, window=window, device=device
        )
    for notice in result.notices:
        note(notice, quiet=quiet)
    score = result.score
    values: dict[str, float | int | str | None] = {
        "nats_per_character": score.nats_per_character,
        "bits_per_character": score.bits_per_character,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
        "accuracy": score.accuracy,
        "characters": score.characters,
        "unknown": score.unknown,
        "protocol": result.protocol,
        "model": str(found.path),
    }
    if is_terminal("stdout") and not as_json:
        score_table(result.text, values)
        return
    lines = [json.dumps(values)] if as_json else [f"{name} {value}" for name, value in values.items()]
    writer = TextWriter("utf-8")  # whatever the locale says
    writer.write("".join(f"{line}\n" for line in lines))
    writer.close()
