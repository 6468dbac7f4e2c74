"""`charrnn sample`."""

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
    echo: options.Echo = True,
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
    config = SamplingConfig(length, temperature, top_k, top_p, until_end, num_samples, seed)

    from charrnn.checkpoint.store import load_model
    from charrnn.sampling.engines import open_engine
    from charrnn.sampling.generate import generate
    from charrnn.sampling.prime import encode_prime

    found, checkpoint = load_model(model)
    text, vocabulary = checkpoint.config.text, checkpoint.vocabulary
    prime = _read_prime(prime_file) if prime_file is not None else prime or ""
    before = encode_prime(prime, text, vocabulary, unknown)
    if config.seed is None:
        config = replace(config, seed=secrets.randbelow(2**32))
    if config.until_end is None:
        config = replace(config, until_end=text.documents != "none")
    opened = open_engine(checkpoint, config, engine, device)
    note(f"{found.path} ({found.why}), {opened.device}, seed {config.seed}", quiet=quiet)

    writer = TextWriter("latin-1" if vocabulary.unit == "byte" else "utf-8")
    for index in range(config.num_samples):
        if echo:
            writer.write(vocabulary.decode(before[before < vocabulary.start]))
        for piece in generate(opened.engine, vocabulary, config, before, index):
            writer.write(piece)
        if config.num_samples > 1:
            writer.write("\n")
    writer.close()


def _read_prime(path: str) -> str:
    """The prime in a file, byte for byte; bytes that are no UTF-8 become surrogates, as on a command line."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the prime {path}: {error.strerror}") from error
    return data.decode("utf-8", "surrogateescape")
