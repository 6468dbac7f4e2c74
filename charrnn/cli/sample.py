"""`charrnn sample`."""

import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path

from charrnn.cli import options
from charrnn.cli.terminal import TextWriter, note
from charrnn.config import SamplingConfig, TrainingConfig
from charrnn.errors import DataError, UsageError

__all__ = ["command"]


def command(
    prime: options.Prime = None,
    prime_file: options.PrimeFile = None,
    model: options.Model = None,
    length: options.Length = SamplingConfig.length,
    temperature: options.Temperature = SamplingConfig.temperature,
    top_k: options.TopK = SamplingConfig.top_k,
    top_p: options.TopP = SamplingConfig.top_p,
    seed: options.SamplingSeed = SamplingConfig.seed,
    num_samples: options.NumSamples = SamplingConfig.num_samples,
    until_end: options.UntilEnd = SamplingConfig.until_end,
    min_p: options.MinP = SamplingConfig.min_p,
    typical: options.Typical = SamplingConfig.typical,
    repetition_penalty: options.RepetitionPenalty = SamplingConfig.repetition_penalty,
    repetition_window: options.RepetitionWindow = SamplingConfig.repetition_window,
    allow: options.Allow = SamplingConfig.allow,
    ban: options.Ban = SamplingConfig.ban,
    min_length: options.MinLength = SamplingConfig.min_length,
    stop: options.Stop = None,
    lines: options.Lines = SamplingConfig.lines,
    echo: options.Echo = True,
    null: options.Null = False,
    raw: options.Raw = None,
    unknown: options.Unknown = "error",
    device: options.Device = TrainingConfig.device,
    engine: options.Engine = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Write text: charrnn sample --prime "hello"

    The text goes to stdout as it is made, everything else to stderr.
    """
    if prime is not None and prime_file is not None:
        raise UsageError("--prime and --prime-file both give the prime; use one of them")
    config = SamplingConfig(
        length=length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        until_end=until_end,
        num_samples=num_samples,
        seed=seed,
        min_p=min_p,
        typical=typical,
        repetition_penalty=repetition_penalty,
        repetition_window=repetition_window,
        allow=allow,
        ban=ban,
        min_length=min_length,
        stop=tuple(stop or ()),
        lines=lines,
    )

    if engine != "torch":  # one character's products are too small to share: threads that wait for each other cost more
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from charrnn.checkpoint.store import load_model
    from charrnn.sampling.engines import open_engine
    from charrnn.sampling.generate import forbidden_ids, generate
    from charrnn.sampling.prime import as_model_text, encode_prime

    found, checkpoint = load_model(model)
    text, vocabulary = checkpoint.config.text, checkpoint.vocabulary
    prime = _read_prime(prime_file) if prime_file is not None else prime or ""
    before = encode_prime(prime, text, vocabulary, unknown)
    config = replace(config, stop=tuple(as_model_text(each, text, vocabulary, "--stop") for each in config.stop))
    if config.seed is None:
        config = replace(config, seed=secrets.randbelow(2**32))
    if config.until_end is None:
        config = replace(config, until_end=text.documents != "none")
    forbidden_ids(vocabulary, config)  # what cannot be written is told before anything is
    opened = open_engine(checkpoint, config, engine, device)
    note(f"{found.path} ({found.why}), {opened.device}, seed {config.seed}", quiet=quiet)

    escape = None if raw is None else not raw
    writer = TextWriter("latin-1" if vocabulary.unit == "byte" else "utf-8", escape)
    for index in range(config.num_samples):
        if echo:
            writer.write(vocabulary.decode(before[before < vocabulary.start]))
        for piece in generate(opened.engine, vocabulary, config, before, index):
            writer.write(piece)
        if null:
            writer.end("\0")
        elif config.num_samples > 1:
            writer.end("\n")
    writer.close()


def _read_prime(path: str) -> str:
    """The prime in a file, byte for byte; bytes that are no UTF-8 become surrogates, as on a command line."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the prime {path}: {error.strerror}") from error
    return data.decode("utf-8", "surrogateescape")
