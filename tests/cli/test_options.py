"""Options: one environment variable each, and defaults that are the configuration's."""

import inspect
from dataclasses import fields
from typing import get_args

import pytest

from charrnn.cli import options
from charrnn.cli.commands import compare, evaluate, next_character, sample, train
from charrnn.config import RunConfig, SamplingConfig


def environment_variables() -> dict[str, str]:
    found = {}
    for name, annotation in vars(options).items():
        for info in get_args(annotation):
            if getattr(info, "envvar", None):
                found[name] = info.envvar
    return found


def test_every_option_has_a_variable_named_after_it() -> None:
    variables = environment_variables()
    assert variables["HiddenSize"] == "CHARRNN_HIDDEN_SIZE"
    assert variables["Model"] == "CHARRNN_MODEL"
    assert variables["UntilEnd"] == "CHARRNN_UNTIL_END"
    assert len(variables) > 40


@pytest.mark.parametrize(
    "command", [train.command, sample.command, evaluate.command, next_character.command, compare.command]
)
def test_no_two_options_of_a_command_share_a_variable(command: object) -> None:
    annotations = inspect.get_annotations(command)  # type: ignore[arg-type]
    shared = [info.envvar for annotation in annotations.values() for info in get_args(annotation)[1:] if info.envvar]
    assert len(shared) == len(set(shared))


def test_every_field_of_a_run_can_be_set_and_has_its_default() -> None:
    parameters = inspect.signature(train.command).parameters
    recorded_only = {"corpus_sha256", "from_sha256", "plan"}
    for section in fields(RunConfig):
        default = getattr(RunConfig(), section.name)
        for field in fields(default):
            if field.name in recorded_only or field.name == "corpus":
                continue
            assert parameters[field.name].default == getattr(default, field.name), field.name


def test_fields_of_a_run_have_names_of_their_own() -> None:
    names = [field.name for section in fields(RunConfig) for field in fields(getattr(RunConfig(), section.name))]
    assert len(names) == len(set(names))


def test_every_field_of_a_sampling_can_be_set_and_has_its_default() -> None:
    parameters = inspect.signature(sample.command).parameters
    for field in fields(SamplingConfig):
        default = getattr(SamplingConfig, field.name)
        # An option that can be given several times is None when it is not given.
        assert parameters[field.name].default == (None if default == () else default), field.name
