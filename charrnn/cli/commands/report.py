"""`charrnn report`."""

from dataclasses import dataclass
from pathlib import Path

from charrnn.cli.common import Quiet
from charrnn.cli.looking import DeviceChoice
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.errors import UsageError
from charrnn.files import check_new, write_new
from charrnn.messages import named
from charrnn.settings.fields import FORCE_HELP, OUT, Settings, setting

__all__ = ["command"]

_REPEATS = "charrnn train --config run.toml"


@dataclass(frozen=True)
class ReportedRun(Settings):
    """The run that is told of."""

    run: str | None = setting(
        None,
        "Run folder, run name or checkpoint file (default: the newest run in ./checkpoints).",
        argument=True,
        shows_default=False,
    )


@dataclass(frozen=True)
class ReportOutput(Quiet):
    """Options for the file of the report."""

    output: str | None = setting(
        None, "Write the report into a new file, or - for standard output.", panel=OUT, short="o", metavar="FILE"
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is None:
            raise UsageError(f"say where the report goes: {named('output', 'FILE.html')}, or - for standard output")


@with_options
def command(source: ReportedRun, machine: DeviceChoice, output: ReportOutput) -> None:
    """The report is one page that needs nothing else, no network and no script: the curve of the losses, what the
    network wrote at each stage, the beginning of the held-out text shaded by surprise, how much it copies, and the
    settings, versions and digests that repeat the run. The model is the best of the run.
    """
    path = str(output.output)
    if path != "-" and not output.force:
        check_new(Path(path))

    from charrnn.checkpoint.store import find_run, load_model
    from charrnn.cli.render.display import working
    from charrnn.export.report import report

    found, checkpoint = load_model(source.run or str(find_run(None).path), training=True)
    note(f"{found.path} ({found.why if source.run else 'the best of the newest run'})", quiet=output.quiet)
    pieces = report(checkpoint, found.path, _REPEATS, machine.device)
    if path == "-":
        writer = TextWriter("utf-8", escape=False)  # all that others wrote is escaped in the page
        for piece in pieces:
            writer.write(piece)
        writer.close()
        return
    with working("writing and reading", output.quiet):
        write_new(Path(path), (piece.encode("utf-8", "surrogateescape") for piece in pieces), replaces=output.force)
    note(f"the report is {path}; open it in a browser", quiet=output.quiet)
