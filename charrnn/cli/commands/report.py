"""`charrnn report`."""

from dataclasses import dataclass

from charrnn.cli.looking import DeviceChoice
from charrnn.cli.options import with_options
from charrnn.cli.page_output import PageOutput
from charrnn.cli.process.terminal import note
from charrnn.settings.fields import Settings, setting

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


@with_options
def command(source: ReportedRun, machine: DeviceChoice, output: PageOutput) -> None:
    """The report is one page that needs nothing else, no network and no script: the curve of the losses, what the
    network wrote at each stage, the beginning of the held-out text shaded by surprise, how much it copies, and the
    settings, versions and digests that repeat the run. The model is the best of the run.
    """
    output.check()

    from charrnn.checkpoint.store import find_run, load_model
    from charrnn.cli.render.display import working
    from charrnn.export.report import report

    found, checkpoint = load_model(source.run or str(find_run(None).path), training=True)
    note(f"{found.path} ({found.why if source.run else 'the best of the newest run'})", quiet=output.quiet)
    pieces = report(checkpoint, found.path, _REPEATS, machine.device)
    with working("writing and reading", output.quiet or output.output == "-"):
        output.write(pieces)
    output.tell()
