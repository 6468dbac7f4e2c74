"""The guide: pages of Markdown in this folder, their headings, and a search through them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "Section", "command_section", "commands", "page", "plain", "search", "sections", "summary"]

# In the order in which they are listed.
PAGES = (
    "getting-started",
    "texts-and-languages",
    "training",
    "resuming",
    "runs",
    "sampling",
    "writing",
    "pipelines",
    "scoring",
    "looking-inside",
    "comparing",
    "sharing",
    "python",
    "gpu",
    "several-machines",
    "files-and-formats",
    "troubleshooting",
    "tutorials",
    "reference",
)
_REFERENCE = "reference"
_COMMAND = "charrnn "  # which the headings of the reference begin with

_COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)
_PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


class Section(NamedTuple):
    """The text below a heading; the one at the top of a page has the page's title."""

    page: str
    heading: str
    text: str


def page(name: str) -> str:
    """A page as it is written."""
    return (Path(__file__).parent / f"{name}.md").read_text("utf-8")


def plain(markdown: str) -> str:
    """A page as people read it outside of a browser: links name pages, and comments and pictures are left out."""
    return _LINK.sub(_named, _PICTURE.sub("", _COMMENT.sub("", markdown)))


def _named(link: re.Match[str]) -> str:
    text, target = link.groups()
    name = Path(target.partition("#")[0]).name.removesuffix(".md")
    if name in PAGES and "://" not in target:
        return f"{text} (`charrnn help {name}`)"
    return text if target.startswith("#") or text == target else f"{text} ({target})"


def summary(name: str) -> str:
    """The first sentence below a page's title."""
    first = sections(name)[0].text.strip().partition("\n\n")[0]
    return " ".join(first.split()).partition(". ")[0].removesuffix(".") + "."


def sections(name: str) -> list[Section]:
    """The sections of a page, its top among them, as people read them."""
    found: list[Section] = []
    lines: list[str] = []
    heading, above, is_code = name, name, False
    for line in plain(page(name)).splitlines():
        is_code ^= line.startswith("```")
        if line.startswith("#") and not is_code:
            if lines or found:
                found.append(Section(name, heading, "\n".join(lines)))
            told = line.strip("# ")
            above = told if not line.startswith("###") else above
            heading, lines = told if above == told else f"{above}: {told}", []
        else:
            lines.append(line)
    return [*found, Section(name, heading, "\n".join(lines))]


def search(words: str) -> Iterator[tuple[Section, str]]:
    """Sections that have all the words, or longer ones, each with a line; those that ask so come first."""
    wanted = [re.compile(rf"(?<!\w){re.escape(word)}", re.IGNORECASE) for word in words.split()]
    found: list[tuple[int, int, Section, str]] = []
    for name in PAGES:
        for place, section in enumerate(sections(name)):
            lines = list(_sentences(section.text))
            if wanted and all(word.search(f"{section.heading}\n{section.text}") for word in wanted):
                counts = [sum(bool(word.search(line)) for word in wanted) for line in lines]
                shown = lines[counts.index(max(counts))] if any(counts) else ""
                in_question = sum(bool(word.search(section.heading)) for word in wanted) if place else 0
                found.append((-in_question, len(found), section, shown))
    for _, _, section, line in sorted(found):
        yield section, line


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a text, and the lines of its examples and tables."""
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith(("    ", "|", "- ", "```")):
            yield from (line.strip(" |-") for line in paragraph.splitlines())
        else:
            yield from re.split(r"(?<=[.?!]) (?=[A-Z`])", " ".join(paragraph.split()))


def commands() -> list[str]:
    """The commands that the reference has."""
    return re.findall(rf"^## {_COMMAND}(\S+)$", page(_REFERENCE), re.MULTILINE)


def command_section(name: str) -> str:
    """The section of the reference about a command, as Markdown."""
    text = plain(page(_REFERENCE))
    start = text.index(f"\n## {_COMMAND}{name}\n") + 1
    end = text.find("\n## ", start)
    return text[start : end if end > 0 else len(text)].strip() + "\n"
