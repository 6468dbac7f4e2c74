"""Options are made of declarations: a setting has its flag, variable, default and help from one place."""

import inspect
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from charrnn.cli.app import COMMANDS, application
from charrnn.cli.options import Given, Part, with_options
from charrnn.errors import UsageError
from charrnn.settings.fields import Settings, declared, setting
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.training import TrainingConfig

FUNCTIONS = {each.name: each.callback for each in application().registered_commands}
OPTIONS = {
    name: {
        parameter.name: (parameter.default, get_args(parameter.annotation)[1])
        for parameter in inspect.signature(function).parameters.values()
        if get_args(parameter.annotation)
    }
    for name, function in FUNCTIONS.items()
    if function and name
}

# CHARRNN_MODEL holds one path, which `open_model` reads; and CHARRNN_PRECISION is for trainings.
WITHOUT_VARIABLE = {*((name, "model") for name in ("sample", "write", "eval", "memory")), ("page", "precision")}


def test_every_option_has_a_variable_named_after_it() -> None:
    for name, options in OPTIONS.items():
        for setting_name, (_, info) in options.items():
            if isinstance(info, typer.models.OptionInfo) and (name, setting_name) not in WITHOUT_VARIABLE:
                long = str(info.default).partition("/")[0]  # Typer takes the first name for a default
                assert info.envvar == "CHARRNN_" + long.strip("-").replace("-", "_").upper()
    assert sum(map(len, OPTIONS.values())) > 100


@pytest.mark.parametrize("command", COMMANDS)
def test_no_two_options_of_a_command_share_a_name_or_a_variable(command: str) -> None:
    infos = [info for _, info in OPTIONS[command].values() if isinstance(info, typer.models.OptionInfo)]
    for shared in (
        [info.envvar for info in infos if info.envvar],
        [name for info in infos for names in (info.default, *info.param_decls) for name in str(names).split("/")],
    ):
        assert len(shared) == len(set(shared))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_sentence_of_help(command: str) -> None:
    for _, info in OPTIONS[command].values():
        assert info.help.endswith((".", ")"))


def test_every_setting_of_a_run_can_be_set_and_has_its_default() -> None:
    recorded_only = {"corpus_sha256", "validation_sha256", "from_sha256", "plan", "lead_in", "shares_characters"}
    for name, value in RunConfig().flat().items():
        if name not in recorded_only:
            assert OPTIONS["train"][name][0] == (None if value == () else value), name


def test_settings_of_a_run_have_names_of_their_own() -> None:
    names = [field.name for section in fields(RunConfig) for field in fields(getattr(RunConfig(), section.name))]
    assert len(names) == len(set(names))


def test_every_setting_of_a_sampling_can_be_set_and_has_its_default() -> None:
    for field in fields(SamplingConfig):
        # An option that can be given several times is None when it is not given.
        assert OPTIONS["sample"][field.name][0] == (None if field.default == () else field.default), field.name


@dataclass(frozen=True)
class Kinds(Settings):
    """A setting of each kind."""

    number: int = setting(3, "A number.", short="x", least=1)
    words: tuple[str, ...] = setting((), "Words.", aliases=("--texts",))
    length: tuple[int, ...] | None = setting(None, "Sizes.", parse=lambda text: tuple(map(int, text.split(","))))
    loud: bool = setting(False, "Loud.", off="--quiet")
    from_model: str | None = setting(None, "A model.", flag="--from")
    hidden: bool = setting(False, "Not shown.", hidden=True)


def called(*arguments: str, **environment: str) -> Any:
    """What a command with these settings is given."""
    seen: list[Any] = []

    @with_options
    def command(kinds: Kinds, given: Annotated[Given, Part(TrainingConfig, ("seed", "steps"))]) -> None:
        """A command."""
        seen.extend([kinds, given])

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments), env=environment, standalone_mode=False)
    if result.exception:
        raise result.exception
    return seen or result.output


def test_a_command_is_given_its_settings_checked() -> None:
    assert called() == [Kinds(), {}]
    kinds, given = called(
        *("-x", "5", "--words", "a", "--texts", "b", "--length", "1,2", "--loud", "--from", "m", "--seed", "1"),
        CHARRNN_STEPS="7",
    )
    assert kinds == Kinds(5, ("a", "b"), (1, 2), True, "m")
    assert (given, given.typed) == ({"seed": 1, "steps": 7}, {"seed"})  # the default, but asked for
    assert called("--quiet")[0] == Kinds()
    with pytest.raises(UsageError, match="number must be at least 1, got 0"):
        called("--number", "0")
    shown = called("--help")
    assert "--from" in shown
    assert "Not shown" not in shown


def test_declarations_are_those_of_the_fields() -> None:
    assert list(declared(Kinds)) == [field.name for field in fields(Kinds)]
