"""`charrnn completion`: a shell script with all commands and options, which starts no process when Tab is pressed.

The shell itself looks up files, and runs, which are the folders in ./checkpoints that have a checkpoint. The script
knows the options of the charrnn that wrote it.
"""

import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import typer

from charrnn.cli.process.terminal import TextWriter
from charrnn.guide.pages import PAGES
from charrnn.guide.pages import commands as guide_commands
from charrnn.recurrent.registry import CORES

__all__ = ["command"]

_RUNS = ("--model", "--resume", "--from")
_ABOUT_RUNS = ("info", "export", "verify")  # whose first argument is one

_Values = list[str] | Literal["none", "number", "file", "run"]


class _Option(NamedTuple):
    """An option, or an argument, which has no names; its values are listed words, or a kind such as "file"."""

    names: list[str]
    help: str
    values: _Values


class _Command(NamedTuple):
    name: str
    help: str
    options: list[_Option]
    argument: _Option | None


def command(
    context: typer.Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Whose script.", show_default=False)],
) -> None:
    """bash: charrnn completion bash > ~/.local/share/bash-completion/completions/charrnn

    zsh: charrnn completion zsh > ~/.zfunc/_charrnn, with fpath+=~/.zfunc before compinit in ~/.zshrc

    fish: charrnn completion fish > ~/.config/fish/completions/charrnn.fish
    """
    registered: dict[str, Any] = getattr(context.find_root().command, "commands", {})
    commands = [_described(name, each.help, each.callback) for name, each in registered.items() if not each.hidden]
    writer = TextWriter("utf-8")
    writer.write("\n".join({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)) + "\n")
    writer.close()


def _described(name: str, help: str, function: Callable[..., Any]) -> _Command:
    described = [_option(annotation) for annotation in get_type_hints(function, include_extras=True).values()]
    found = [option for option in described if option is not None]
    arguments = [option for option in found if not option.names]
    if name == "help":
        arguments = [_Option([], "", [*PAGES, *guide_commands()])]
    if name in _ABOUT_RUNS:
        arguments[0] = arguments[0]._replace(values="run")
    options = [option for option in found if option.names]
    return _Command(name, help.partition(":")[0], [*options, _HELP], arguments[0] if arguments else None)


_HELP = _Option(["--help", "-h"], "Show this message and exit.", "none")
_SHARED = [_HELP, _Option(["--version"], "Show the version and exit.", "none")]


def _option(annotation: Any) -> _Option | None:
    """The option that an annotation describes; None if it describes none or a hidden one."""
    if get_origin(annotation) is not Annotated:
        return None
    kind, info = get_args(annotation)[:2]
    if info.hidden:
        return None
    declared = [info.default, *(info.param_decls or ())]  # Typer takes the first name for a default
    names = [name for each in declared if isinstance(each, str) for name in each.split("/") if name.startswith("-")]
    return _Option(names, (info.help or "").replace("\\[", "["), _values(names, kind))


def _values(names: list[str], kind: Any) -> _Values:
    if "--cells" in names:
        return list(CORES)
    if "--cell" in names:
        return ["auto", *CORES]
    if set(names) & set(_RUNS):
        return "run"
    while get_origin(kind) in (Union, types.UnionType, list):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if kind is bool:
        return "none"
    return "number" if kind in (int, float) else "file"


def _bash(commands: list[_Command]) -> Iterator[str]:
    yield from (
        "_charrnn() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}",
        "    local IFS=$' \\t\\n' command= word words= quoted",
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do',
        "        [[ $word == -* ]] || { command=$word; break; }",
        "    done",
        "    # bash takes --cell=gru for three words",
        "    if [[ $current == = ]]; then",
        "        current=",
        "    elif [[ $previous == = ]]; then",
        "        previous=${COMP_WORDS[COMP_CWORD - 2]}",
        "    fi",
        "    COMPREPLY=()",
        '    case "$command $previous $current" in',
        f"        \" \"*' '-*) words='{_all_names(_SHARED)}' ;;",
        f"        \" \"*) words='{' '.join(each.name for each in commands)}' ;;",
    )
    for each in commands:
        yield f"        '{each.name} '*' '-*) words='{_all_names(each.options)}' ;;"
        answers: dict[str, list[str]] = {}  # each answer, with the words after which it is given
        for option in each.options:
            if isinstance(option.values, list):
                answer = f"words='{' '.join(option.values)}'"
            else:
                answer = {"number": "compopt +o default 2> /dev/null", "run": "words=runs"}.get(option.values, "")
            answers.setdefault(answer, []).extend(f"'{each.name} {name} '*" for name in option.names)
        answers.pop("", None)
        yield from (f"        {' | '.join(places)}) {answer} ;;" for answer, places in answers.items())
        if each.argument and isinstance(each.argument.values, list):
            yield f"        '{each.name} '*) words='{' '.join(each.argument.values)}' ;;"
    yield from (
        "    esac",
        "    if [[ $words == runs ]]; then",
        "        for word in checkpoints/*/; do",
        '            if [[ -e ${word}latest || -e ${word}best ]] && [[ ${word%/} == "$current"* ]]; then',
        '                printf -v quoted %q "${word%/}"',
        '                COMPREPLY+=("$quoted")',
        "            fi",
        "        done",
        "    else",
        "        for word in $words; do",
        '            [[ $word == "$current"* ]] && COMPREPLY+=("$word")',
        "        done",
        "    fi",
        "}",
        "# where it has no answer, files are completed",
        "complete -o default -F _charrnn charrnn",
    )


def _zsh(commands: list[_Command]) -> Iterator[str]:
    yield from (
        "#compdef charrnn",
        "_charrnn_runs() {",
        "    local -aU runs=(checkpoints/*/(latest|best)(N:h))",
        "    (( $#runs )) && compadd -- $runs || _files",
        "}",
        "_charrnn() {",
        "    local context state state_descr line",
        "    typeset -A opt_args",
        "    local -a commands=(",
    )
    for each in commands:
        yield f"        {_quoted(f'{each.name}:{each.help}')}"
    yield "    )"
    yield f"    _arguments -C {_zsh_specs(_SHARED)} '1: :{{_describe command commands}}' '*:: :->command' && return"
    yield "    case $state$words[1] in"
    for each in commands:
        argument = _zsh_action(each.argument.values) if each.argument else "_message 'no more arguments'"
        yield f"        command{each.name})"
        yield f"            _arguments {_zsh_specs(each.options)} {_quoted(f'*: :{argument}')} ;;"
    yield from (
        "    esac",
        "}",
        'if [[ "${funcstack[1]}" == _charrnn ]]; then _charrnn "$@"; else compdef _charrnn charrnn; fi',
    )


def _zsh_specs(options: list[_Option]) -> str:
    specs = []
    for option in options:
        told = option.help.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        for name in option.names:
            value = "" if option.values == "none" else f": :{_zsh_action(option.values)}"
            joined = "" if not value else "=" if name.startswith("--") else "+"
            specs.append(_quoted(f"*{name}{joined}[{told}]{value}"))
    return " ".join(specs)


def _zsh_action(values: _Values) -> str:
    kinds = {"none": "", "number": "_message number", "file": "_files", "run": "_charrnn_runs"}
    return f"({' '.join(values)})" if isinstance(values, list) else kinds[values]


def _fish(commands: list[_Command]) -> Iterator[str]:
    yield from (
        "function __charrnn_runs",
        "    set -l typed (commandline -ct)",
        "    set -l runs",
        "    for file in checkpoints/*/latest checkpoints/*/best",
        "        set -l run (string replace --regex '/[^/]*$' '' -- $file)",
        '        test "$(string sub -l (string length -- "$typed") -- $run)" = "$typed"; and set -a runs $run',
        "    end",
        '    if set -q runs[1]; printf %s\\\\n $runs; else; __fish_complete_path "$typed"; end',
        "end",
    )
    for option in _SHARED:
        yield f"complete -c charrnn -n __fish_use_subcommand {_fish_option(option)}"
    for each in commands:
        yield f"complete -c charrnn -n __fish_use_subcommand -f -a {each.name} -d {_quoted(each.help, fish=True)}"
        here = f"complete -c charrnn -n '__fish_seen_subcommand_from {each.name}'"
        for option in each.options:
            yield f"{here} {_fish_option(option)}"
        if each.argument and isinstance(each.argument.values, list):
            yield f"{here} -f -a '{' '.join(each.argument.values)}'"


def _fish_option(option: _Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    kinds = {"none": "", "number": " -x", "file": " -rF", "run": " -x -a '(__charrnn_runs)'"}
    values = f" -x -a '{' '.join(option.values)}'" if isinstance(option.values, list) else kinds[option.values]
    return f"{names}{values} -d {_quoted(option.help, fish=True)}"


def _all_names(options: list[_Option]) -> str:
    return " ".join(name for option in options for name in option.names)


def _quoted(text: str, *, fish: bool = False) -> str:
    """The text as one word of a shell."""
    if fish:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"
