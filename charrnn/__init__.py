"""charrnn: learn a text character by character with a recurrent network, and write more of it."""

__version__ = "0.1.0"
