"""The n-grams of a training: how long they are, and how they are weighted against the network."""

from dataclasses import replace

import numpy as np
import torch

from charrnn.errors import UsageError
from charrnn.evaluation.scoring import Segments, carried, chunks, overlapping
from charrnn.messages import counted, named
from charrnn.model import CharacterModel
from charrnn.ngrams.along import Along
from charrnn.ngrams.fit import fitted_table
from charrnn.ngrams.table import NgramTable
from charrnn.settings.run import RunConfig
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["choose_ngrams", "fitted", "known_along"]

_LENGTH = 6
_LEAST, _MOST = 20_000, 2**22  # characters of a text; counting takes a hundred bytes for each

_WINDOW, _CONTEXT = 128, 64
_TARGETS, _LOGITS = 2**15, 2**24  # on which the weights are fitted, at most


def choose_ngrams(config: RunConfig, tokens: Tokens, *, is_judged: bool) -> tuple[RunConfig, list[str]]:
    """Choose the length of the n-grams, if it is open; `is_judged` is true where text is held out, for the weights.

    A configuration without n-grams has no length. A recorded run without a length has none. N-grams are no longer than
    the longest document.

    Raises:
        UsageError: n-grams were asked for, and no text is held out.
    """
    asked = config.model.ngrams
    chosen = asked or None
    if chosen and not is_judged:
        raise UsageError(f"{named('ngrams')} needs validation text, and there is none")
    if asked is None and is_judged and not config.record.plan and _LEAST <= tokens.targets <= _MOST:
        chosen = _LENGTH
    if chosen:
        chosen = min(chosen, int(np.diff(tokens.offsets).max()))
    notices = []
    if chosen and not asked:
        other = named("ngrams", 0)
        length = counted(chosen, "character")
        told = f"the network is mixed with the n-grams of the text, of up to {length}, and the model holds the text"
        notices = [f"{told} (else {other})"]
    return replace(config, model=replace(config.model, ngrams=chosen)), notices


def known_along(table: NgramTable, text: Tokens) -> Along:
    """The precedents along a held-out text, looked up once for all validations of a training."""
    documents = carried(text)
    return Along(table, text, documents.begin, documents.scored, None)


def fitted(
    table: NgramTable, network: CharacterModel, text: Tokens, along: Along, vocabulary: Vocabulary
) -> NgramTable:
    """The table with the weights that suit a network best on some thousand targets spread over a held-out text."""
    was_training, device, state = network.training, next(network.parameters()).device, None
    network.eval()
    segments = _some(text, min(_TARGETS, _LOGITS // vocabulary.size))
    logits, places, targets = [], [], []
    with torch.no_grad():
        for chunk in chunks(text, segments, None, rows=64, chunk=2048):
            state = network.initial_state(len(chunk.places)) if chunk.begins else state
            found, state = network(torch.from_numpy(chunk.inputs).to(device), state)
            chosen = chunk.is_scored & (chunk.targets != vocabulary.unknown)
            logits.append(found[torch.from_numpy(chosen).to(device)].float().cpu().numpy())
            places.append(chunk.places[chosen])
            targets.append(chunk.targets[chosen])
    network.train(was_training)
    found = along.at(np.concatenate(places))
    return fitted_table(table, np.concatenate(logits), found, np.concatenate(targets))


def _some(text: Tokens, targets: int) -> Segments:
    """Windows spread evenly over a text, with so many targets in all, or a few more."""
    windows = overlapping(text, _WINDOW, _CONTEXT)
    mean = float((windows.last - windows.scored).mean())
    chosen = np.unique(np.linspace(0, len(windows.first) - 1, int(np.ceil(targets / mean))).astype(np.int64))
    return Segments(*(column[chosen] for column in windows))
