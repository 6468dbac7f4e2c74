"""What is chosen for a text, and what is said about it."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.recurrent.registry import CORES
from charrnn.settings.run import RunConfig
from charrnn.text.tokens import Tokens
from charrnn.training import preset
from charrnn.training.preset import choose


def running(length: int) -> Tokens:
    return Tokens(np.zeros(length + 1, np.uint8), np.array([0, length + 1]))


def lines(*lengths: int) -> Tokens:
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths) + 1)])
    return Tokens(np.zeros(offsets[-1], np.uint8), offsets)


@pytest.mark.parametrize("length", [2, 70, 300, 5_000, 50_000, 1_000_000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_nothing_is_left_open_and_every_choice_is_told(length: int, device: str) -> None:
    config, notices = choose(RunConfig(), running(length), device)
    assert None not in (config.model.layers, config.model.hidden_size, config.model.embedding_size)
    assert None not in (config.model.dropout, config.training.batch_size, config.training.sequence_length)
    is_long, is_large = length == 1_000_000, length >= 50_000
    assert (config.model.cell, config.training.optimizer) == (("lstm", "muon") if is_large else ("gru", "adamw"))
    assert config.training.learning_rate == (0.02 if is_large else CORES["gru"].learning_rate)
    assert config.training.time == 180
    assert (config.training.epochs is None) == (length < 2_000 or (is_long and device == "cuda"))
    assert (config.training.steps is None) == (length >= 2_000)
    assert notices[0].startswith(f"chose {config.model.cell}, layers {config.model.layers}, hidden size")
    assert "no budget given: 3 minutes" in notices[1]


@pytest.mark.parametrize("cell", CORES)
def test_precision_on_a_cpu_is_bf16_where_it_is_faster(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for can in (True, False):
        monkeypatch.setattr(preset, "multiplies_bf16", {"cpu": can}.__getitem__)
        for hidden_size in (CORES[cell].bf16_from - 1, CORES[cell].bf16_from):
            wanted = RunConfig().override({"cell": cell, "hidden_size": hidden_size})
            config, notices = choose(wanted, running(50_000), "cpu")
            pays = can and hidden_size == CORES[cell].bf16_from
            assert config.training.precision == ("bf16" if pays else "fp32")
            assert any("bf16" in notice for notice in notices) == pays


BY_CUDNN = ("rnn", "rnn-relu", "lstm", "gru")


@pytest.mark.parametrize(
    "noise", [{}, {"recurrent_dropout": 0.1}, {"zoneout": 0.1}], ids=["plain", "dropout", "zoneout"]
)
@pytest.mark.parametrize("can", [True, False])
@pytest.mark.parametrize("cell", CORES)
def test_precision_on_a_gpu_is_what_its_kernels_compute_in(
    cell: str, can: bool, noise: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuDNN's networks know fp16 alone; with noise a network is none of those. Older GPUs have no bf16."""
    monkeypatch.setattr(preset, "multiplies_bf16", {"cuda": can}.__getitem__)
    config, notices = choose(RunConfig().override({"cell": cell, **noise}), running(50_000), "cuda")
    is_cudnn = cell in BY_CUDNN and not noise
    assert config.training.precision == ("bf16" if can and not is_cudnn else "fp16")
    (told,) = (notice for notice in notices if notice.startswith("products in "))
    assert told.startswith(f"products in {config.training.precision}")
    assert ("states" in told) == is_cudnn
    for asked in ("fp32", "bf16", "fp16"):
        given = RunConfig().override({"cell": cell, "precision": asked})
        assert choose(given, running(50_000), "cuda")[0].training.precision == asked


LONG = running(1_000_000)


def at_pace(characters: float, **given: object) -> RunConfig:
    """What is chosen on a GPU that learns so many characters/s with 2×512, and fewer with wider networks."""
    return choose(
        RunConfig().override(given),
        LONG,
        "cuda",
        pace=lambda config: characters * (512 / (config.model.hidden_size or 0)) ** 2,
    )[0]


@pytest.mark.parametrize("characters", [1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
@pytest.mark.parametrize("time", [20.0, 180.0, 3600.0])
def test_a_gpu_gets_a_width_that_its_pace_and_the_budget_have_use_for(characters: float, time: float) -> None:
    model = at_pace(characters, time=time).model
    width = model.hidden_size or 0
    epochs = time * characters * (512 / width) ** 2 / LONG.targets
    assert width % 128 == 0
    assert (model.embedding_size or 0) % 128 == 0
    assert epochs >= 6 or width == 256
    assert epochs <= 100 or width == 1024


def test_on_a_faster_gpu_the_network_is_wider_and_has_more_dropout() -> None:
    chosen = [at_pace(characters).model for characters in (1e3, 1e4, 1e5, 3e5, 1e6, 1e7)]
    widths, dropouts = ([getattr(model, name) for model in chosen] for name in ("hidden_size", "dropout"))
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    assert dropouts[0] < dropouts[-1]


def test_the_whole_time_is_used_on_a_gpu() -> None:
    training = at_pace(1e6).training
    assert (training.time, training.epochs, training.steps) == (180, None, None)


def test_a_pace_is_measured_only_where_something_depends_on_it() -> None:
    def refuse(config: RunConfig) -> float:
        raise AssertionError(config)

    choose(RunConfig(), running(30_000), "cpu", pace=refuse)
    for text in (running(50_000), LONG):
        choose(RunConfig().override({"epochs": 3.0}), text, "cpu", pace=refuse)
        choose(RunConfig().override({"dropout": 0.1}), text, "cpu", pace=refuse)
    choose(RunConfig(), running(50_000), "cuda", pace=refuse)
    choose(RunConfig().override({"hidden_size": 512, "dropout": 0.1}), LONG, "cuda", pace=refuse)
    choose(RunConfig().override({"epochs": 3.0}), LONG, "cuda", pace=refuse)


@pytest.mark.parametrize("gpus", [1, 2, 3, 8])
def test_the_batch_grows_with_the_gpus(gpus: int) -> None:
    config, _ = choose(RunConfig(), LONG, "cuda", gpus=gpus)
    assert config.training.batch_size == 64 * gpus
    documents, _ = choose(RunConfig().override({"documents": "line"}), lines(*[7] * 90_000), "cuda", gpus=gpus)
    rows = documents.training.batch_size or 0
    assert rows % (8 * gpus) == 0
    assert choose(RunConfig(), LONG, "cpu", gpus=gpus)[0].training.batch_size == 64


@pytest.mark.parametrize("cell", CORES)
def test_muon_is_for_long_texts_and_lstms(cell: str) -> None:
    for length in (30_000, 100_000, 1_000_000):
        config, notices = choose(RunConfig().override({"cell": cell}), running(length), "cpu")
        wanted = length == 1_000_000 or (length == 100_000 and cell == "lstm")
        assert config.training.optimizer == ("muon" if wanted else "adamw")
        assert config.training.batch_size == (64 if wanted else 32)
        assert any("Muon" in notice for notice in notices) == wanted
    given = {"cell": cell, "optimizer": "adamw", "learning_rate": 0.1}
    config, _ = choose(RunConfig().override(given), running(1_000_000), "cpu")
    assert (config.training.optimizer, config.training.learning_rate) == ("adamw", 0.1)


def test_what_is_given_stays(folder: Path) -> None:
    given = {"layers": 3, "hidden_size": 77, "embedding_size": 9, "dropout": 0.4, "batch_size": 5, "learning_rate": 0.1}
    given |= {"precision": "fp32", "optimizer": "adamw", "cell": "gru"}
    config, notices = choose(RunConfig().override(given | {"sequence_length": 11, "steps": 6}), running(50_000), "cpu")
    assert config == RunConfig().override(given | {"sequence_length": 11, "steps": 6})
    assert notices == []


@pytest.mark.parametrize(
    ("budget", "dropout"), [({"time": 180.0}, 0.0), ({"time": 900.0}, 0.2), ({"epochs": 7}, 0.1), ({"steps": 9}, 0.0)]
)
def test_a_long_text_that_is_read_often_gets_dropout(budget: dict[str, float], dropout: float) -> None:
    config, _ = choose(RunConfig().override(budget), running(1_000_000), "cpu")
    assert config.model.dropout == dropout


@pytest.mark.parametrize(
    ("characters", "dropout"), [(1e3, 0.0), (4e3, 0.1), (1e4, 0.2), (1.6e4, 0.3), (3e4, 0.5), (1e6, 0.5)]
)
def test_a_faster_machine_reads_a_text_more_often_and_gets_more_dropout(characters: float, dropout: float) -> None:
    config, notices = choose(RunConfig(), running(90_000), "cpu", pace=lambda _: characters)
    of_inputs = 0.2 if dropout == 0.5 else None
    assert (config.model.dropout, config.model.input_dropout) == (dropout, of_inputs)
    assert ("input dropout 0.2" in notices[0]) == (of_inputs is not None)
    times = min(round(characters * 180 / 90_000), 60)
    assert f"read {times} times" in notices[0]


@pytest.mark.parametrize(
    ("given", "of_inputs"), [({"dropout": 0.5}, None), ({"input_dropout": 0.1}, 0.1), ({"encoder": "one-hot"}, None)]
)
def test_inputs_are_dropped_as_asked_and_where_they_are_vectors(
    given: dict[str, object], of_inputs: float | None
) -> None:
    config, _ = choose(RunConfig().override(given), running(90_000), "cpu", pace=lambda _: 1e6)
    assert (config.model.dropout, config.model.input_dropout) == (0.5, of_inputs)


@pytest.mark.parametrize(("characters", "dropouts"), [(1e4, (0.2, None)), (1.6e4, (0.3, None)), (3e4, (0.4, 0.1))])
def test_lines_that_begin_anew_get_less_dropout(characters: float, dropouts: tuple[float, float | None]) -> None:
    config, _ = choose(
        RunConfig().override({"documents": "line"}), lines(*[9] * 9_000), "cpu", pace=lambda _: characters
    )
    assert (config.model.dropout, config.model.input_dropout) == dropouts


def test_longer_texts_get_larger_networks() -> None:
    sizes = [choose(RunConfig(), running(length), "cpu")[0].model for length in (1_000, 30_000, 100_000)]
    assert [(each.layers, each.hidden_size) for each in sizes] == [(1, 128), (1, 128), (2, 256)]


def test_residual_layers_are_two_or_more() -> None:
    assert [choose(RunConfig().override({"residual": on}), running(9_000), "cpu")[0].model.layers for on in (0, 1)] == [
        1,
        2,
    ]


def test_a_shape_that_the_text_cannot_fill_is_shrunk_with_a_notice() -> None:
    config, notices = choose(RunConfig().override({"batch_size": 50, "sequence_length": 100}), running(250), "cpu")
    assert (config.training.batch_size, config.training.sequence_length) == (2, 100)
    assert any("too short for the shape asked for: made it batch size 2" in notice for notice in notices)


def test_a_short_text_is_read_in_one_piece() -> None:
    config, _ = choose(RunConfig(), running(69), "cpu")
    assert (config.training.batch_size, config.training.sequence_length) == (1, 69)


def test_short_documents_come_many_at_a_time() -> None:
    config, _ = choose(RunConfig().override({"documents": "line"}), lines(*[7] * 5000), "cpu")
    assert config.training.batch_size == pytest.approx(2048 / 7, abs=1)
    assert config.training.sequence_length == 7
