"""Search for stop texts in a text that comes in pieces; only a possible beginning of one is held back."""

from collections.abc import Sequence

__all__ = ["StopSearch"]


class StopSearch:
    """Search that takes text piece by piece and gives out the part certainly before the first of `stops` (none empty).

    The first stop text is the one that is complete first; of those complete at the same character, the longest.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = sorted(stops, key=len, reverse=True)
        self._held = ""
        self.found = False

    def feed(self, piece: str) -> str:
        """The text that is certain after one more piece; "" once a stop text is found."""
        if not self._stops:
            return piece
        released = []
        for character in piece:
            if self.found:
                break
            released.append(self._add(character))
        return "".join(released)

    def rest(self) -> str:
        """The text held back, for when the text has ended without a stop text."""
        held, self._held = self._held, ""
        return held

    def _add(self, character: str) -> str:
        text = self._held + character
        for stop in self._stops:
            if text.endswith(stop):
                self.found, self._held = True, ""
                return text[: -len(stop)]
        begins = next(
            (k for k in range(len(text)) if any(stop.startswith(text[k:]) for stop in self._stops)), len(text)
        )
        self._held = text[begins:]
        return text[:begins]
