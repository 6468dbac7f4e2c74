"""A character RNN of the kind people write in an afternoon, to measure against. Knows nothing of charrnn.

    python plain_char_rnn.py train TEXT MODEL SECONDS
    python plain_char_rnn.py sample MODEL LENGTH

Two layers of `nn.LSTM`, random windows, Adam at 2e-3, and for sampling one call of the network a character.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, LAYERS, EMBEDDING, BATCH, WINDOW = 128, 2, 64, 50, 50


class Network(nn.Module):
    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN, vocabulary_size)

    def forward(self, ids: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.lstm(self.embedding(ids), state)
        return self.head(outputs), state


def train(text_path: str, model_path: str, seconds: float) -> None:
    """Train for some seconds; print the characters read and the loss over the last tenth, in windows of 256."""
    torch.manual_seed(1)
    text = Path(text_path).read_text("utf-8")
    characters = sorted(set(text))
    index = {character: k for k, character in enumerate(characters)}
    data = torch.tensor([index[character] for character in text])
    cut = int(0.9 * len(data))
    training, validation = data[:cut], data[cut:]
    model = Network(len(characters))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    start, read = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        places = torch.randint(len(training) - WINDOW - 1, (BATCH, 1)) + torch.arange(WINDOW)
        logits, _ = model(training[places])
        loss = F.cross_entropy(logits.flatten(0, 1), training[places + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        read += BATCH * WINDOW
    with torch.no_grad():
        count = (len(validation) - 1) // 256
        windows = validation[: count * 256].view(count, 256)
        logits, _ = model(windows)
        targets = validation[1 : count * 256 + 1].view(count, 256)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.save({"model": model.state_dict(), "characters": characters}, model_path)
    print(f"{read} {loss.item():.4f}")


@torch.no_grad()
def sample(model_path: str, length: int) -> None:
    """Write text, a character at a time."""
    saved = torch.load(model_path, weights_only=True)
    characters = saved["characters"]
    model = Network(len(characters))
    model.load_state_dict(saved["model"])
    model.eval()
    token, state, text = torch.zeros(1, 1, dtype=torch.long), None, ""
    for _ in range(length):
        logits, state = model(token, state)
        token = torch.multinomial(F.softmax(logits[0] / 0.8, dim=-1), 1)
        text += characters[token.item()]
    print(text)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        sample(sys.argv[2], int(sys.argv[3]))
