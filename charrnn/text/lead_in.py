"""The lead-in of a running text: the end of one of its paragraphs, after which a paragraph begins.

The start token of a running text is met once, so what follows it is learned badly. A sample without a prime goes on
from the lead-in, which is not written.
"""

import re
from collections import Counter

from charrnn.settings.training import LEAD_IN
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["lead_in"]

_READ = 2**18  # characters at the beginning of the text, more than enough to tell
_ENOUGH = 32  # paragraphs; of a text that has fewer, the beginning is learned well

# The last character of a paragraph, and the blank lines after it, or else the line end.
_ENDS = (r"\S[ \t]*(?:(?:\r\n){2,}|\n{2,}|\r{2,})(?![\r\n])", r"\S[ \t]*(?:\r\n|\n|\r)(?![\r\n])")


def lead_in(tokens: Tokens, vocabulary: Vocabulary) -> str:
    """The last of the commonest ends of paragraphs in a text, with what stands before it; "" if it has too few.

    Paragraphs end with blank lines, or are lines if there are hardly any.
    """
    ids = tokens.ids[1 : _READ + 1]
    text = vocabulary.decode(ids[ids < vocabulary.start])
    for pattern in _ENDS:
        ends = [(match[0], match.end()) for match in re.finditer(pattern, text)]
        if len(ends) >= _ENOUGH:
            ((commonest, _),) = Counter(end for end, _ in ends).most_common(1)
            place = max(place for end, place in ends if end == commonest)
            return text[max(place - LEAD_IN, 0) : place]
    return ""
