"""The check that several models know the same characters, so that their distributions can be mixed."""

from collections.abc import Sequence

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.text.vocabulary import Vocabulary

__all__ = ["check_alphabets"]

_SHOWN = 10  # characters in a message


def check_alphabets(vocabularies: Sequence[Vocabulary], names: Sequence[str]) -> None:
    """Raise UsageError unless all have the same characters and labels; `names` are those of the models.

    The ids are the same then, too, as a vocabulary is sorted.
    """
    first, own = vocabularies[0], names[0]
    for other, name in zip(vocabularies[1:], names[1:], strict=True):
        if other.unit != first.unit:
            raise UsageError(f"{own} reads {first.unit}s, and {name} {other.unit}s; mix models of one alphabet")
        if other.characters != first.characters:
            more, less = (sorted(set(a.characters) - set(b.characters)) for a, b in ((first, other), (other, first)))
            differing = [f"only {who} knows {_listed(found)}" for who, found in ((own, more), (name, less)) if found]
            raise UsageError(
                f"models can be mixed if they know the same characters: {', and '.join(differing)}\n"
                f"train a model on all of their texts, and from it one on each, by {named('from_model')}"
            )
        if other.labels != first.labels:
            raise UsageError(
                f"models can be mixed if they have the same labels: {own} has {first.listed_labels or 'none'}, "
                f"{name} {other.listed_labels or 'none'}"
            )


def _listed(characters: Sequence[str]) -> str:
    shown = ", ".join(ascii(each) if not each.isprintable() else repr(each) for each in characters[:_SHOWN])
    more = len(characters) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
