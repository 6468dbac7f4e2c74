"""`charrnn help`."""

from dataclasses import dataclass

from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal
from charrnn.errors import UsageError
from charrnn.guide import pages
from charrnn.messages import named
from charrnn.settings.fields import Settings, setting, suggestion

__all__ = ["command"]


@dataclass(frozen=True)
class HelpTopic(Settings):
    """The topic that is to be explained."""

    topic: str | None = setting(
        None, "Page of the guide, or a command (default: list the pages).", argument=True, shows_default=False
    )
    search: str | None = setting(
        None, "Show the best answer that has these words, and where others are.", metavar="WORD"
    )

    def __post_init__(self) -> None:
        if self.topic is not None and self.search is not None:
            raise UsageError(f"{named('search')} looks through all pages; leave {self.topic!r:.40} out")


@with_options
def command(wanted: HelpTopic) -> None:
    """On a terminal your PAGER shows it; in a pipe it is plain text."""
    if wanted.search is not None:
        _write(_found(wanted.search))
    elif wanted.topic is None:
        _write(_listed())
    else:
        _write(_page(wanted.topic))


def _page(topic: str) -> str:
    name = topic.lower().removesuffix(".md")
    if name in pages.PAGES:
        return pages.plain(pages.page(name))
    if name in pages.commands():
        return pages.command_section(name)
    known = [*pages.PAGES, *pages.commands()]
    more = f"list the pages: charrnn help\nsearch them:    charrnn help --search {topic!r:.40}"
    raise UsageError(f"the guide has no page {topic!r:.40}{suggestion(name, known)}\n{more}")


def _listed() -> str:
    lines = ["# The guide of charrnn", ""]
    lines += [f"- `{name}`: {pages.summary(name)}" for name in pages.PAGES]
    return "\n".join(
        [
            *lines,
            "",
            "Read a page: `charrnn help sampling`. Read about a command: `charrnn help train`.",
            "Find an answer: `charrnn help --search unknown`.",
            "",
        ]
    )


def _found(words: str) -> str:
    """The best answer in full, and where the others are."""
    found = list(pages.search(words))
    if not found:
        raise UsageError(f"no page of the guide has {words!r:.40}; charrnn help lists the pages")
    best = found[0][0]
    lines = [f"# {best.heading}", "", best.text.strip("\n"), "", f"This is in `charrnn help {best.page}`."]
    if len(found) > 1:
        lines += ["", "# Other answers", ""]
    for section, line in found[1:]:
        lines.append(f"- `{section.page}`: **{section.heading}**" + (f"  \n  {line}" if line else ""))
    return "\n".join([*lines, ""])


def _write(markdown: str) -> None:
    if is_terminal("stdout"):
        from charrnn.cli.render.guide import show

        show(markdown)
        return
    writer = TextWriter("utf-8")
    writer.write(markdown)
    writer.close()
