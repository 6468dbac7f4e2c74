"""Both ways, and many-to-one: equal to torch.nn's own, for any core, with and without padding."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.recurrent.bidirectional import Bidirectional, BothStates, last_outputs
from charrnn.recurrent.classifier import SequenceClassifier
from charrnn.recurrent.registry import CORES, core_class

B, T, D, H = 3, 6, 4, 5
TWINS = {
    "rnn": nn.RNN,
    "rnn-relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
cores = pytest.mark.parametrize("name", CORES)


def make(name: str, width: int = D) -> Bidirectional:
    torch.manual_seed(0)
    return Bidirectional(core_class(name)(width, H), core_class(name)(width, H)).double()


def vectors() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(B, T, D, dtype=torch.float64)


def assert_close(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", TWINS)
def test_stacked_layers_equal_those_of_torch_with_the_same_weights(name: str) -> None:
    torch.manual_seed(2)
    twin = TWINS[name](D, H, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    expected, final = twin(vectors())
    hs = final[0] if isinstance(final, tuple) else final  # (layers · directions, B, H)
    outputs = vectors()
    for index, layer in enumerate([make(name), make(name, 2 * H)]):
        for core, suffix in ((layer.forward_core, ""), (layer.backward_core, "_reverse")):
            own = {letter: getattr(twin, f"{key}_l{index}{suffix}") for letter, key in LETTERS.items()}
            core.load_state_dict(own)
        outputs, states = layer(outputs, layer.initial_state(B))
        assert_close(states.forward.h, hs[2 * index])
        assert_close(states.backward.h, hs[2 * index + 1])
        assert_close(last_outputs(outputs, bidirectional=True), torch.cat([hs[2 * index], hs[2 * index + 1]], -1))
        if isinstance(final, tuple):
            assert_close((states.forward.c, states.backward.c), tuple(final[1][2 * index : 2 * index + 2]))
    assert_close(outputs, expected)


LETTERS = {"W": "weight_ih", "U": "weight_hh", "b_W": "bias_ih", "b_U": "bias_hh"}


@cores
@pytest.mark.parametrize("kind", ["vectors", "one-hot"])
def test_backward_is_the_core_on_the_sequence_turned_round(name: str, kind: str) -> None:
    pair = make(name).eval()
    inputs = vectors() if kind == "vectors" else torch.randint(D, (B, T))
    begin = BothStates(*(type(state)(*map(torch.randn_like, state)) for state in pair.initial_state(B)))
    outputs, states = pair(inputs, begin)
    ahead, ahead_state = pair.forward_core(inputs, begin.forward)
    back, back_state = pair.backward_core(inputs.flip(1), begin.backward)
    assert_close(outputs, torch.cat([ahead, back.flip(1)], -1))
    assert_close(tuple(states.forward), tuple(ahead_state))
    assert_close(tuple(states.backward), tuple(back_state))


@cores
@pytest.mark.parametrize("both_ways", [(False, False), (True, True), (True, False), (False, True)])
def test_padding_has_no_part_in_a_classification(name: str, both_ways: tuple[bool, bool]) -> None:
    pairs = [make(name), make(name, 2 * H if both_ways[0] else H)]
    layers = [pair if both else pair.forward_core for pair, both in zip(pairs, both_ways, strict=True)]
    classifier = SequenceClassifier(layers, 7).double().eval()
    inputs, lengths = vectors(), torch.tensor([6, 1, 4])
    together = classifier(inputs, lengths)
    alone = torch.cat([classifier(row[None, :length]) for row, length in zip(inputs, lengths, strict=True)])
    assert together.shape == (B, 7)
    assert_close(together, alone)
    inputs[1, 1:] = inputs[2, 4:] = 1e3
    assert_close(classifier(inputs, lengths), together)


@cores
def test_gradients_reach_both_directions(name: str) -> None:
    pair = make(name)
    outputs, _ = pair(vectors(), pair.initial_state(B))
    outputs[:, 1:-1].square().sum().backward()
    for core in (pair.forward_core, pair.backward_core):
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in core.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 1, 4])], ids=["whole", "padded"])
def test_gradients_pass_a_numerical_check(lengths: Tensor | None) -> None:
    pair = make("lstm")

    def run(inputs: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        kind = type(pair.forward_core.initial_state(B))
        outputs, last = pair(inputs, BothStates(kind(*states[:2]), kind(*states[2:])), lengths)
        return outputs, *last.forward, *last.backward

    begin = [torch.randn(B, H, dtype=torch.float64) for _ in range(4)]
    assert torch.autograd.gradcheck(run, [value.requires_grad_() for value in (vectors(), *begin)])


def test_what_cannot_be_built() -> None:
    with pytest.raises(ValueError, match=r"same input and hidden size, got \(4, 5\) and \(4, 6\)"):
        Bidirectional(core_class("gru")(4, 5), core_class("gru")(4, 6))
    with pytest.raises(ValueError, match="at least one layer"):
        SequenceClassifier([], 2)
    with pytest.raises(ValueError, match="width 5, the one below writes 10"):
        SequenceClassifier([make("gru"), make("gru", H)], 2)
