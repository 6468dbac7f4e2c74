"""`charrnn sample`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.stdin import lines_of, pieces_of, stdin_is_piped, wait_for_stdin
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.samples import write_json, write_text
from charrnn.config import SamplingConfig, TrainingConfig
from charrnn.errors import UsageError
from charrnn.files import check_new

if TYPE_CHECKING:
    from charrnn.text.vocabulary import Ids

__all__ = ["command"]


def command(
    prime: options.Prime = None,
    prime_file: options.PrimeFile = None,
    prime_lines: options.PrimeLines = None,
    save_state: options.SaveState = None,
    load_state: options.LoadState = None,
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
    label: options.Label = SamplingConfig.label,
    beam: options.SampleBeam = SamplingConfig.beam,
    novel: options.Novel = SamplingConfig.novel,
    corpus: options.CopiedCorpus = None,
    echo: options.Echo = True,
    as_json: options.JsonRows = False,
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
        label=label,
        beam=beam,
        novel=novel,
    )
    if corpus and novel is None:
        raise UsageError("--corpus names the text that --novel must not copy; it needs --novel")

    given = {"--prime": prime, "--prime-file": prime_file, "--prime-lines": prime_lines}
    _check(config, [name for name, value in given.items() if value is not None], save_state, load_state, as_json, null)
    if not any(value is not None for value in given.values()) and stdin_is_piped():
        wait_for_stdin(quiet=quiet)
        prime_file = "-"

    if engine != "torch":  # one character's products are too small to share: threads that wait for each other cost more
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    import numpy as np

    from charrnn.checkpoint.store import load_model
    from charrnn.sampling.batched import write_batched
    from charrnn.sampling.engines import open_engine
    from charrnn.sampling.generate import check_label, forbidden_ids, start_token
    from charrnn.sampling.prefill import after_each, after_prime, read_prime, started
    from charrnn.sampling.prime import as_model_text, encode_pieces, encode_prime
    from charrnn.sampling.prompt_cache import load_state as load
    from charrnn.sampling.prompt_cache import save_state as save
    from charrnn.sampling.stream import Stream

    found, checkpoint = load_model(model)
    text, vocabulary = checkpoint.config.text, checkpoint.vocabulary
    config = replace(config, stop=tuple(as_model_text(each, text, vocabulary, "--stop") for each in config.stop))
    if config.seed is None:
        config = replace(config, seed=int.from_bytes(os.urandom(4)))
    if config.until_end is None:
        config = replace(config, until_end=text.documents != "none")
    if as_json and not (config.length or config.until_end or config.stop or config.lines):
        raise UsageError("--json writes a sample when it is complete, which -n 0 is never; give a --length")
    check_label(config.label, vocabulary)
    has_drawn_labels = bool(vocabulary.labels) and config.label is None and load_state is None
    if save_state is not None and has_drawn_labels:
        raise UsageError(f"--save-state needs a --label, one of {vocabulary.listed_labels}")
    forbidden_ids(vocabulary, config)  # what cannot be written is told before anything is

    encode = partial(encode_prime, config=text, vocabulary=vocabulary, unknown=unknown)
    if prime_file is not None:
        pieces = encode_pieces(pieces_of(prime_file), text, vocabulary, unknown)
    else:
        pieces = iter([encode(prime or "")])
    primes = [] if prime_lines is None else [encode(line, name=name) for name, line in lines_of(prime_lines)]
    # A prime of any length is read for one sample in little memory; others need it again.
    is_kept = as_json or has_drawn_labels or config.num_samples > 1 or prime_lines is not None
    if is_kept:
        pieces = iter([np.concatenate([vocabulary.encode(""), *pieces])])
    first = next(pieces, vocabulary.encode(""))  # so that what is wrong with it is told before anything is written

    guard = None
    if config.novel is not None:
        from charrnn.sampling.novel import copy_guard

        guard = copy_guard(checkpoint, config.novel, corpus or ())
    opened = open_engine(checkpoint, config, engine, device)
    primed = None if load_state is None else load(Path(load_state), opened.engine, checkpoint)
    note(f"{found.path} ({found.why}), {opened.device}, seed {config.seed}", quiet=quiet)
    if has_drawn_labels:
        note(f"labels drawn by their share of {vocabulary.listed_labels}; --label says which", quiet=quiet)

    escape = None if raw is None else not raw
    writer = TextWriter("latin-1" if vocabulary.unit == "byte" and not as_json else "utf-8", escape)

    def shown(ids: "Ids") -> str:
        return vocabulary.decode(ids[ids < vocabulary.start])

    def read_once() -> Iterator["Ids"]:
        for piece in chain([first], pieces):
            if echo and not is_kept:
                writer.write(shown(piece))
            yield piece

    if prime_lines is not None:
        begin = after_each(opened.engine, vocabulary, config, primes, primed)
    elif has_drawn_labels:
        begin = after_prime(opened.engine, vocabulary, config, first, None)
    else:
        start = start_token(vocabulary, config, Stream(vocabulary, config, 0))
        primed = read_prime(opened.engine, primed or started(opened.engine, start), read_once())
        if save_state is not None:
            save(Path(save_state), primed, opened.engine, checkpoint)
        begin = after_prime(opened.engine, vocabulary, config, first, primed)
    count = config.num_samples if prime_lines is None else len(primes)
    if config.beam is not None:
        from charrnn.sampling.beam import write_likeliest

        texts = write_likeliest(opened.engine, vocabulary, config, begin, count)
    elif guard is not None:
        from charrnn.sampling.novel import write_novel

        texts = write_novel(opened.engine, vocabulary, config, begin, count, guard=guard, measured=as_json)
    else:
        stepped, threads, blocks = opened.engine, opened.threads, opened.blocks
        texts = write_batched(
            stepped, vocabulary, config, begin, count, measured=as_json, threads=threads, blocks=blocks
        )

    def prime_of(index: int) -> str:
        return shown(first if prime_lines is None else primes[index]) if is_kept and (echo or as_json) else ""

    if as_json:
        write_json(texts, writer, prime_of, config.seed, vocabulary.unit)
    else:
        several = config.num_samples > 1 or prime_lines is not None
        write_text(texts, writer, prime_of, "\0" if null else "\n" if several else None)
    writer.close()


def _check(
    config: SamplingConfig,
    primes: Sequence[str],
    save_state: str | None,
    load_state: str | None,
    as_json: bool,
    null: bool,
) -> None:
    """UsageError for options that do not go together."""
    if len(primes) > 1:
        raise UsageError(f"{' and '.join(primes)} both give the prime; use one of them")
    if "--prime-lines" in primes and config.num_samples > 1:
        raise UsageError("--prime-lines writes one continuation a line; it cannot go with --num-samples")
    if "--prime-lines" in primes and save_state is not None:
        raise UsageError("--save-state keeps the state after one prime; it cannot go with --prime-lines")
    if save_state is not None:
        check_new(Path(save_state))
    if load_state is not None and config.label is not None:
        raise UsageError("--load-state goes on with a document that has begun; it cannot go with --label")
    if as_json and null:
        raise UsageError("--json writes lines; it cannot go with --null")
