"""The JavaScript of a page in Node: its expressions, evaluated from Python."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.checkpoint.format import Checkpoint
from charrnn.export.model_page import model_page
from charrnn.settings.page import PageConfig

__all__ = ["Engine", "needs_node", "payload", "running_engine"]

NODE = shutil.which("node")
SCRIPTS = Path(charrnn.__file__).parent / "export" / "page"

needs_node = pytest.mark.skipif(NODE is None, reason="needs Node, which is not installed")

_LOOP = """
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try {
    answer = { value: eval(line) };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)));
});
"""


class Engine:
    """A process of Node with `cells.js` and `engine.js` in it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def value(self, expression: str) -> Any:
        """The value of an expression. AssertionError if it throws."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression.replace("\n", " ") + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer.get("value")

    def open(self, page: str) -> None:
        """Make `vocabulary` and `network` those of a page."""
        data, weights = payload(page)
        self.value(f"globalThis.data = {json.dumps(data)}, 0")
        self.value("globalThis.vocabulary = new Vocabulary(data.vocabulary, data.text), 0")
        arrays = f"decodedArrays({json.dumps(weights)}, data.arrays, data.precision)"
        self.value(f"globalThis.network = new Network(data.network, {arrays}), 0")

    def open_model(self, checkpoint: Checkpoint, **config: Any) -> None:
        """The same, of the page that a model gets."""
        self.open("".join(model_page(checkpoint, "a model", PageConfig(**config))))


@contextmanager
def running_engine(folder: Path) -> Iterator[Engine]:
    """An engine, whose process ends afterwards."""
    script = folder / "engine.js"
    parts = [(SCRIPTS / name).read_text("utf-8") for name in ("cells.js", "engine.js")]
    script.write_text('"use strict";\n' + "".join(parts) + _LOOP, "utf-8")
    with subprocess.Popen(
        [str(NODE), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Engine(process)
        assert process.stdin is not None
        process.stdin.close()


def payload(page: str) -> tuple[dict[str, Any], str]:
    """The data of a page, and its weights in base64."""
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    (weights,) = re.findall(r'<script type="text/plain" id="weights">(.*?)</script>', page, re.DOTALL)
    return json.loads(data), weights
