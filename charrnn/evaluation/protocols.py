"""Numbers by which scores are told apart, for those who must not wait for torch."""

__all__ = ["WINDOW"]

WINDOW = 256  # targets in a window of the windowed score, where no other number is asked for
