"""The versions of the format, and the names of parameters in each. No other module knows old names.

Version 4 is version 2 with n-grams; files without any are written as version 2, so that older readers have them.
Version 3, which no release wrote, had n-grams with fewer weights, and is refused.
Version 2 uses the letters of `recurrent.equations` for the parameters of every core. Version 1 used torch.nn's names
for the cores that torch.nn has, too.
"""

import re

__all__ = ["READABLE", "from_version_1", "to_version_1", "version_of"]

READABLE = (1, 2, 4)

_CELLS = ("rnn", "rnn-relu", "lstm", "gru")
_OLD_NAMES = {
    "W": "fused.weight_ih_l0",
    "U": "fused.weight_hh_l0",
    "b_W": "fused.bias_ih_l0",
    "b_U": "fused.bias_hh_l0",
}
_LETTERS = {old: letter for letter, old in _OLD_NAMES.items()}


def version_of(*, has_ngrams: bool) -> int:
    """The version in which a checkpoint is written."""
    return 4 if has_ngrams else 2


def to_version_1(name: str, cell: str) -> str:
    """The name in a file of version 1 of a parameter, or of an array that belongs to one, given the model's cell."""
    return _renamed(name, cell, _OLD_NAMES)


def from_version_1(name: str, cell: str) -> str:
    """Today's name of a parameter or array that has this name in a file of version 1."""
    return _renamed(name, cell, _LETTERS)


def _renamed(name: str, cell: str, names: dict[str, str]) -> str:
    if cell not in _CELLS:
        return name
    alternatives = "|".join(map(re.escape, names))
    pattern = rf"(?<![^.])(stack\.layers\.\d+\.)({alternatives})(?![^.])"
    return re.sub(pattern, lambda match: match[1] + names[match[2]], name, count=1)
