"""The file that a page of HTML goes to: its options, and the writing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from charrnn.cli.common import Quiet
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.errors import UsageError
from charrnn.files import check_new, write_new
from charrnn.messages import counted, named
from charrnn.settings.fields import FORCE_HELP, OUT, setting

__all__ = ["PageOutput"]


@dataclass(frozen=True)
class PageOutput(Quiet):
    """Options for the file of a page."""

    output: str | None = setting(
        None, "Write the page into a new file, or - for standard output.", panel=OUT, short="o", metavar="FILE"
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is None:
            raise UsageError(f"say where the page goes: {named('output', 'FILE.html')}, or - for standard output")

    def check(self) -> None:
        """Raise UsageError if the file is there already and is not to be overwritten."""
        if self.output != "-" and not self.force:
            check_new(Path(str(self.output)))

    def write(self, pieces: Iterable[str]) -> None:
        """Write a page, in which all that others wrote is escaped.

        Raises:
            ResourceError: there is no room for it.
        """
        if self.output == "-":
            writer = TextWriter("utf-8", escape=False)
            for piece in pieces:
                writer.write(piece)
            writer.close()
        else:
            encoded = (piece.encode("utf-8", "surrogateescape") for piece in pieces)
            write_new(Path(str(self.output)), encoded, replaces=self.force)

    def tell(self) -> None:
        """Tell where the page is, once it is written into a file."""
        if self.output == "-":
            return
        path = Path(str(self.output))
        note(f"the page is {path}, {counted(path.stat().st_size, 'byte')}; open it in a browser", quiet=self.quiet)
