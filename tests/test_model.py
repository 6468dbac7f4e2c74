"""The whole network, and its layout as readers without torch see it."""

import pytest
import torch

from charrnn.encoders import Embedding, OneHot, build_encoder
from charrnn.layout import model_shapes
from charrnn.model import CharacterModel, model_arrays, model_from_arrays, parameter_count
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("abcdefg")
V, UNKNOWN = VOCABULARY.size, VOCABULARY.unknown
every_model = pytest.mark.parametrize(
    "config",
    [ModelConfig(cell, 2, 6, "embedding", 5, 0.1) for cell in CORES]
    + [ModelConfig(cell, 3, 6, "one-hot", None, 0.1) for cell in CORES],
    ids=lambda config: f"{config.cell}-{config.encoder}",
)


@every_model
def test_the_layout_is_that_of_the_model(config: ModelConfig) -> None:
    model = CharacterModel(config, V, UNKNOWN)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == model_shapes(config, V)
    assert parameter_count(model) == sum(value.numel() for value in model.state_dict().values())


@every_model
def test_logits_of_every_token_follow_every_token(config: ModelConfig) -> None:
    model = CharacterModel(config, V, UNKNOWN)
    logits, state = model(torch.randint(V, (3, 4)), model.initial_state(3))
    assert logits.shape == (3, 4, V)
    assert len(state) == config.layers


@every_model
def test_a_model_comes_back_from_its_arrays(config: ModelConfig) -> None:
    model = CharacterModel(config, V, UNKNOWN).eval()
    again = model_from_arrays(config, VOCABULARY, model_arrays(model))
    ids = torch.randint(V, (3, 4))
    assert torch.equal(model(ids, model.initial_state(3))[0], again(ids, again.initial_state(3))[0])


@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize("encoder", ["one-hot", "embedding"])
def test_the_unknown_token_says_nothing(cell: str, encoder: str) -> None:
    """An embedding of it is the zero vector, and where it is one-hot, it has the effect of one."""
    torch.manual_seed(1)  # of six rectified units all may be silent, whatever they see
    config = ModelConfig(cell, 1, 6, encoder, None if encoder == "one-hot" else 5, 0.0)  # type: ignore[arg-type]
    model = CharacterModel(config, V, UNKNOWN).eval()
    vector = model.encoder(torch.tensor([[UNKNOWN]]))
    (core,), (state,) = model.stack.layers, model.initial_state(1)
    outputs, _ = core(vector, state)
    silence, _ = core(torch.zeros(1, 1, core.input_size), state)  # type: ignore[call-overload]
    torch.testing.assert_close(outputs, silence)
    other, _ = core(model.encoder(torch.tensor([[UNKNOWN - 1]])), state)
    assert not torch.allclose(outputs, other)


def test_encoders() -> None:
    ids = torch.randint(V, (2, 3))
    assert torch.equal(OneHot(V, 0.0)(ids), ids)
    embedding = Embedding(V, 5, UNKNOWN, 0.0)
    assert embedding(ids).shape == (2, 3, 5)
    one_hot_product = torch.nn.functional.one_hot(ids, V).float() @ embedding.vectors.weight
    torch.testing.assert_close(embedding(ids), one_hot_product)


@pytest.mark.parametrize("encoder", [OneHot(V, 0.25), Embedding(V, 5, UNKNOWN, 0.25)])
def test_input_dropout_is_exact_in_expectation_and_only_in_training(encoder: OneHot | Embedding) -> None:
    rows = 20_000
    ids = torch.arange(V).expand(rows, V)
    plain = encoder.eval()(ids[:1])[0]
    if isinstance(encoder, OneHot):
        assert torch.equal(plain, ids[0])
        plain = torch.eye(V)
    with torch.no_grad():
        dropped = encoder.train()(ids)
    assert 0.2 < (dropped[plain.expand_as(dropped) != 0] == 0).float().mean() < 0.3
    assert ((dropped.mean(0) - plain).abs() <= 5 * dropped.std(0) / rows**0.5 + 1e-6).all()


def test_a_model_needs_its_sizes() -> None:
    for build in (
        lambda: CharacterModel(ModelConfig(), V, UNKNOWN),
        lambda: build_encoder(ModelConfig(), V, UNKNOWN),
        lambda: model_shapes(ModelConfig(), V),
        lambda: model_shapes(ModelConfig(layers=1, hidden_size=2), V),
    ):
        with pytest.raises(ValueError, match="not chosen yet"):
            build()
