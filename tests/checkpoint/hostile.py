"""Files that an attacker, another tool or a bad disk might hand to us as checkpoints, made without our own writer.

`CATALOGUE` has, by name, a function that makes the file's bytes and what the refusal has to say about it. Digests are
those of the content, as an attacker would make them, wherever it is not the digest itself that is wrong.
"""

import hashlib
import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.layout import model_shapes
from charrnn.settings.model import ModelConfig

__all__ = ["CATALOGUE", "Canary", "Hostile", "checkpoint", "container"]

Json = dict[str, Any]


class Hostile(NamedTuple):
    """A file, and what its refusal has to match."""

    data: Callable[[], bytes]
    message: str


class Canary:
    """An object whose pickle runs a command when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch canary-is-dead",)


CHARACTERS = "abc"
SHAPES = model_shapes(ModelConfig("gru", 1, 4, "embedding", 3), len(CHARACTERS) + 3)
HEAD_BIAS = "model.head.bias"


def configuration() -> dict[str, Json]:
    model = {"cell": "gru", "layers": 1, "hidden_size": 4, "encoder": "embedding", "embedding_size": 3, "dropout": 0.1}
    return {"text": {"corpus": ["a.txt"]}, "model": model, "training": {"steps": 9}, "record": {"plan": [[0, 9]]}}


def weights() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(0)
    return {f"model.{name}": random.normal(0, 1, shape).astype("<f4") for name, shape in SHAPES.items()}


def moments() -> dict[str, NDArray[Any]]:
    return {"optimizer.head.bias.step": np.array(7, "<f4"), "rng.cpu": np.arange(9, dtype="u1")}


TYPES = {"<f4": "F32", "|u1": "U8", "<f8": "F64", "<f2": "F16", "|i1": "I8", "|b1": "BOOL", "<i4": "I32"}


def dumps(value: Any) -> str:
    """JSON in UTF-8, with lone surrogates escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def container(header: Json | str | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with that header, and that length said to be its."""
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else dumps(header)).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


# By which parameters are digested, as version 1 had them.
OLD_NAMES = {
    "model.stack.layers.0.W": "model.stack.layers.0.fused.weight_ih_l0",
    "model.stack.layers.0.U": "model.stack.layers.0.fused.weight_hh_l0",
    "model.stack.layers.0.b_W": "model.stack.layers.0.fused.bias_ih_l0",
    "model.stack.layers.0.b_U": "model.stack.layers.0.fused.bias_hh_l0",
}


def digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    total = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name, array in sorted((OLD_NAMES.get(name, name), array) for name, array in arrays.items()):
        total.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode("utf-8", "surrogatepass") + array.tobytes())
    return total.hexdigest()


def parts(
    *,
    model: Json | str | None = None,
    training: Json | str | None = None,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    rest: Mapping[str, NDArray[Any]] | None = None,
    **metadata: Any,
) -> tuple[Json, bytes]:
    """Header and body of a checkpoint that is good but for what is given."""
    if model is None:
        model = {"configuration": configuration(), "vocabulary": {"characters": CHARACTERS, "unit": "character"}}
    if training is None:
        training = {"counters": {"step": 7, "seconds": 1.5}, "versions": {"torch": "2.13.0"}}
    arrays, rest = weights() if arrays is None else arrays, moments() if rest is None else rest
    model_text = model if isinstance(model, str) else dumps(model)
    training_text = training if isinstance(training, str) else dumps(training)
    about = {
        "format": "charrnn",
        "version": "2",
        "model": model_text,
        "model_sha256": digest(model_text, arrays),
        "training": training_text,
        "training_sha256": digest(training_text, rest),
    } | metadata
    header: Json = {"__metadata__": about}
    body = b""
    for name, array in {**arrays, **rest}.items():
        offsets = [len(body), len(body) + array.nbytes]
        header[name] = {"dtype": TYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": offsets}
        body += array.tobytes()
    return header, body


def checkpoint(**changes: Any) -> bytes:
    """A checkpoint that is good but for the changes, which are as in `parts`."""
    return container(*parts(**changes))


def without(key: str) -> bytes:
    """A checkpoint that lacks one of its metadata."""
    header, body = parts()
    del header["__metadata__"][key]
    return container(header, body)


def described(configuration: Any, vocabulary: Any) -> bytes:
    """A checkpoint with another configuration and vocabulary."""
    return checkpoint(model={"configuration": configuration, "vocabulary": vocabulary})


def configured(section: str, key: str, value: Any) -> bytes:
    """A checkpoint with one field of its configuration changed."""
    changed = configuration()
    changed[section][key] = value
    return described(changed, {"characters": CHARACTERS, "unit": "character"})


def vocabulary(characters: Any, unit: Any = "character") -> bytes:
    """A checkpoint with another vocabulary."""
    return described(configuration(), {"characters": characters, "unit": unit})


def labelled(labels: Any, counts: Any) -> bytes:
    """A checkpoint with labels."""
    return described(
        configuration(), {"characters": CHARACTERS, "unit": "character", "labels": labels, "label_counts": counts}
    )


def counted(**counters: Any) -> bytes:
    """A checkpoint with other counters."""
    return checkpoint(training={"counters": counters, "versions": {}})


def entry(name: str = HEAD_BIAS, /, **changes: Any) -> bytes:
    """A checkpoint with the header's entry of one array changed."""
    header, body = parts()
    header[name] |= changes
    return container(header, body)


def moved(offset: int) -> bytes:
    """A checkpoint in which the last array's bytes are said to be elsewhere."""
    header, body = parts()
    start, end = header["rng.cpu"]["data_offsets"]
    header["rng.cpu"]["data_offsets"] = [start + offset, end + offset]
    return container(header, body + b"\0" * max(0, offset))


def model_arrays(**changes: Any) -> bytes:
    """A checkpoint with arrays of the model replaced, or with None removed; `__` in a name is a dot."""
    arrays = weights() | {f"model.{name.replace('__', '.')}": value for name, value in changes.items()}
    return checkpoint(arrays={name: value for name, value in arrays.items() if value is not None})


def renamed(name: str) -> bytes:
    """A checkpoint with an array of the training under another name."""
    return checkpoint(rest={**moments(), name: np.zeros(1, "<f4")})


def twice(first: str) -> bytes:
    """A checkpoint whose header has a key twice, before and after its `first` occurrence."""
    header, body = parts()
    text = dumps(header)
    assert text.count(first) == 1
    return container(text.replace(first, f"{first}, {first}"), body)


def with_nan(number: float) -> bytes:
    bias = weights()[HEAD_BIAS]
    bias[1] = number
    return model_arrays(head__bias=bias)


def pickled(protocol: int) -> bytes:
    return pickle.dumps({"model": Canary()}, protocol)


def zipped(compression: int, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name.replace('__', '.')}", data)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, weight=np.zeros(3))
    return file.getvalue()


_NO_CONTAINER = "is not a charrnn checkpoint: no safetensors file"
_PICKLE = "it is a pickle or a zip archive, which can run code and is never opened"
_NO_JSON = "the header is no plain JSON"
_FULL = "the arrays have to follow each other to the end of the file"
_CONFIGURATION = "its configuration does not hold together"
_COUNTERS = "its counters do not hold together"

# Values that a field of the configuration cannot have.
NO_SIZES: tuple[Any, ...] = (None, True, 2.0, "2", -1, 0, 10**9, 10**4000, [2], {})
FIELDS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("model", "layers", NO_SIZES),
    ("model", "hidden_size", NO_SIZES),
    ("model", "embedding_size", NO_SIZES),
    ("training", "batch_size", NO_SIZES),
    ("training", "sequence_length", NO_SIZES),
    ("model", "cell", (None, True, 0, "transformer", "../gru", "os:system", "g" * 1_000_000, ["gru"])),
    ("model", "encoder", (None, 1, "one-hot", "binary", ["embedding"])),
    ("model", "dropout", (None, True, "0.1", -1, 1, 10**9)),
    ("model", "colour", ("blue",)),
    ("model", "c" * 1_000_000, ("blue",)),
    ("text", "encoding", (None, 8, "utf-9", "../utf_8", "os", "zlib", "undefined", "a\0b", "u" * 1_000_000)),
    ("text", "unit", (None, "word", 5)),
    ("text", "normalize", ("NFC", ["nfc"], 0)),
    ("text", "corpus", (None, "a.txt", [1], [None], {"a": 1})),
    ("text", "validation", (None, "0.1", -0.1, 1.0, True)),
    ("training", "time", (None, "soon", "9" * 1_000_000, 0, -1, True)),
    ("training", "steps", (None, True, 2.0, "2", -1, 0, 2**63)),
    ("training", "warmup_steps", (-1, 2**63)),
    ("training", "learning_rate", (None, 0, -1, 10**9, 10**400, "1")),
    ("training", "seed", (None, True, 1.0, -1, 2**63)),
    ("training", "device", (None, "tpu")),
    (
        "record",
        "plan",
        (None, 5, [[1, 2]], [[0, 0]], [[0, 5], [0, 5]], [[0]], [[0, 2**63]], [[0, 5], [2**63, 6]], [[0, 1.5]]),
    ),
    ("record", "corpus_sha256", (None, 5)),
]
COUNTERS: dict[str, tuple[Any, ...]] = {
    "step": (None, True, 1.0, "1", -1, 2**63, 10**4000),
    "characters": (None, -1, 2**63),
    "seconds": (None, -1.0, "1", True),
    "best_loss": (None, -1.0, "1"),
    "best_step": (-1, 2**63, 1.5),
    "stale": (-1, 2**63),
    "steps": (1,),
}
NO_TABLES: tuple[Any, ...] = (None, [], "gru", {"model": None}, {"model": []}, {"modell": {}}, {})
NO_TEXTS: tuple[Any, ...] = (None, [], "2.13", {"torch": 2.13}, {"torch": None})
NO_VERSIONS: tuple[Any, ...] = (None, 1, True, "-1", "1.0", " 1", "\u0661", "", "9" * 5000, ["1"])
NO_LABELS: dict[str, tuple[Any, ...]] = {
    "of null": (None, [1]),
    "as a text": ("a", [1]),
    "as a dictionary": ({"a": 1}, [1]),
    "of numbers": ([1], [1]),
    "unsorted": (["b", "a"], [1, 1]),
    "with duplicates": (["a", "a"], [1, 1]),
    "with a lone surrogate": (["\ud800"], [1]),
    "with an escape": (["\x1b]0;owned\x07"], [1]),
    "with a new line": (["a\nb"], [1]),
    "with an override of direction": (["\u202ea"], [1]),
    "of 101 characters": (["a" * 101], [1]),
    "of 2,000,000 characters": (["a" * 2_000_000], [1]),
    "without counts": (["a"], []),
    "with more counts": (["a"], [1, 1]),
    "that nobody has": (["a"], [0]),
    "of less than nobody": (["a"], [-1]),
    "of true": (["a"], [True]),
    "of one and a half": (["a"], [1.5]),
    "of too many": (["a"], [2**63]),
    "of far too many": (["a"], [10**4000]),
    "of counts alone": ([], [1]),
}
NO_VOCABULARIES: dict[str, tuple[Any, ...]] = {
    "empty": ("",),
    "with duplicates": ("aab",),
    "unsorted": ("acb",),
    "with a lone surrogate": ("ab\ud800",),
    "as a list": (["a", "b", "c"],),
    "with entries of many characters": (["a", "bc"],),
    "of numbers": ([97, 98, 99],),
    "absent": (None,),
    "of unit null": (CHARACTERS, None),
    "of unit word": (CHARACTERS, "word"),
    "of unit list": (CHARACTERS, ["character"]),
    "of bytes that are not all": (CHARACTERS, "byte"),
    "of 2,000,000 equal characters": ("a" * 2_000_000,),
}


CATALOGUE = {
    # The container.
    "empty": Hostile(lambda: b"", _NO_CONTAINER),
    "7 bytes": Hostile(lambda: b"\2\0\0\0\0\0\0", _NO_CONTAINER),
    "a text": Hostile(lambda: b"First Citizen: Before we proceed any further, hear me speak.", _NO_CONTAINER),
    "header of 0 bytes": Hostile(lambda: container(b"", b"{}", 0), "does not begin with a brace"),
    "header of 1 byte": Hostile(lambda: container(b"{}", b"", 1), _NO_JSON),
    "header of 2**63 bytes": Hostile(lambda: container(b"{}", b"", 2**63), "no header of at most"),
    "header of 2**64 - 1 bytes": Hostile(lambda: container(b"{}", b"", 2**64 - 1), "no header of at most"),
    "header of 100,000,001 bytes": Hostile(lambda: container(b"{}", b"", 100_000_001), "no header of at most"),
    "header longer than its file": Hostile(lambda: container(b"{}", b"", 3), "no header of at most"),
    "header of 9 MB that is there": Hostile(lambda: container(b"{" + b" " * 9_000_000 + b"}"), "no header of at most"),
    "header is a list": Hostile(lambda: container(b"[]"), "does not begin with a brace"),
    "header with leading spaces": Hostile(lambda: container(b"  " + dumps(parts()[0]).encode(), parts()[1]), "brace"),
    "header in UTF-16": Hostile(lambda: container("{}".encode("utf-16-le")), _NO_JSON),
    "header with a byte order mark": Hostile(lambda: container("\ufeff{}".encode()), "brace"),
    "header that is no UTF-8": Hostile(lambda: container(b'{"\xff": 1}'), _NO_JSON),
    "header that is no JSON": Hostile(lambda: container(b"{'a': 1}"), _NO_JSON),
    "header and something after it": Hostile(lambda: container(b"{}{}"), _NO_JSON),
    "header 100,000 deep": Hostile(lambda: container('{"a":' + "[" * 100_000), "nested too deeply"),
    "header 500 deep": Hostile(lambda: container('{"a":' + "[" * 500 + "]" * 500 + "}"), "not written by charrnn"),
    "header with an integer of 100,000 digits": Hostile(lambda: container('{"a":' + "9" * 100_000 + "}"), _NO_JSON),
    "header with NaN": Hostile(lambda: container('{"a": NaN}'), "a number is not finite"),
    "header with 1e999": Hostile(lambda: container('{"a": 1e999}'), "a number is not finite"),
    "header of 2,000,000 values": Hostile(
        lambda: container('{"a":[' + "{}," * 2_000_000 + "{}]}"), "more values than any"
    ),
    "header of 1,000,000 dictionaries": Hostile(lambda: container('{"a":' * 1_000_000), "more values than any"),
    "header of a million equal names": Hostile(
        lambda: container("{" + ",".join(['"a":1'] * 100_000) + "}"), "a key is there twice"
    ),
    "array twice": Hostile(lambda: twice(f'"{HEAD_BIAS}": {dumps(parts()[0][HEAD_BIAS])}'), "a key is there twice"),
    "metadata key twice": Hostile(lambda: twice('"format": "charrnn"'), "a key is there twice"),
    "dtype twice": Hostile(lambda: twice('"dtype": "U8"'), "a key is there twice"),
    "no metadata": Hostile(lambda: container("{}"), "not written by charrnn"),
    "metadata is a list": Hostile(lambda: container('{"__metadata__": ["format"]}'), "not written by charrnn"),
    "metadata with a number": Hostile(lambda: checkpoint(model_sha256=5), "its metadata is not that of a checkpoint"),
    "metadata with a lone surrogate": Hostile(lambda: checkpoint(model="\ud800"), "its metadata is not that"),
    "metadata of 7 MB": Hostile(lambda: checkpoint(model=" " * 7_000_000), "is no plain JSON"),
    "metadata that nobody knows": Hostile(
        lambda: checkpoint(colour="blue"), "its metadata is not that of a checkpoint"
    ),
    "100,000 arrays in one place": Hostile(
        lambda: container(
            {"__metadata__": parts()[0]["__metadata__"]}
            | {f"model.{i}": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]} for i in range(80_000)},
            b"123456789",
        ),
        "more values than any",
    ),
    "10,000 arrays in one place": Hostile(
        lambda: container(
            {"__metadata__": parts()[0]["__metadata__"]}
            | {f"model.{i}": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]} for i in range(10_000)},
            b"123456789",
        ),
        _FULL,
    ),
    "bytes with a hole": Hostile(lambda: moved(4), _FULL),
    "bytes that overlap": Hostile(lambda: moved(-4), _FULL),
    "bytes past the end": Hostile(lambda: checkpoint()[:-1], "data_offsets"),
    "bytes that nobody has": Hostile(lambda: checkpoint() + b"\0", _FULL),
    "offsets reversed": Hostile(lambda: entry(data_offsets=[24, 0]), "as many bytes as its shape"),
    "offsets negative": Hostile(lambda: entry(data_offsets=[-24, 0]), "data_offsets"),
    "offsets beyond everything": Hostile(lambda: entry(data_offsets=[2**64, 2**64 + 24]), "data_offsets"),
    "offsets with a point": Hostile(lambda: entry(data_offsets=[0.0, 24.0]), "data_offsets"),
    "one offset": Hostile(lambda: entry(data_offsets=[0]), "data_offsets"),
    "no offsets": Hostile(lambda: entry(data_offsets=None), "data_offsets"),
    "shape with a product of 2**66": Hostile(lambda: entry(shape=[2**33, 2**33]), "has the shape"),
    "shape with a product that wraps to its own": Hostile(lambda: entry(shape=[2**62, 4, 6]), "has the shape"),
    "shape with a zero": Hostile(lambda: entry(shape=[0, 6]), "has the shape"),
    "shape with -1": Hostile(lambda: entry(shape=[-1, -6]), "has the shape"),
    "shape with true": Hostile(lambda: entry(shape=[6, True]), "has the shape"),
    "shape with a point": Hostile(lambda: entry(shape=[6.0]), "has the shape"),
    "shape of 100 dimensions": Hostile(lambda: entry(shape=[6] + [1] * 99), "has the shape"),
    "shape is a text": Hostile(lambda: entry(shape="6"), "has the shape"),
    "shape with other bytes": Hostile(lambda: entry(shape=[5]), "as many bytes as its shape"),
    "dtype of 4 bits": Hostile(lambda: entry(dtype="F4", shape=[48]), "has the dtype 'F4'"),
    "dtype of objects": Hostile(lambda: entry(dtype="O"), "has the dtype 'O'"),
    "dtype is a list": Hostile(lambda: entry(dtype=["F32"]), "has the dtype"),
    "array with more to say": Hostile(lambda: entry(code="import os"), "dtype, shape and data_offsets"),
    "array is a number": Hostile(lambda: container(parts()[0] | {HEAD_BIAS: 5}, parts()[1]), "dtype, shape and"),
    "name with NUL": Hostile(lambda: renamed("rng.\0"), "cannot have the name"),
    "name with an escape": Hostile(lambda: renamed("rng.\x1b]0;owned\x07"), r"cannot have the name 'rng.\\x1b"),
    "name with a new line": Hostile(lambda: renamed("rng.\n"), "cannot have the name"),
    "name with a lone surrogate": Hostile(lambda: renamed("rng.\ud800"), "cannot have the name"),
    "name of 5 MB": Hostile(lambda: renamed("rng." + "a" * 5_000_000), "cannot have the name"),
    "name of a path": Hostile(lambda: renamed("../../etc/passwd"), "a checkpoint has no array ../../etc/passwd"),
    "a zip archive after a checkpoint": Hostile(
        lambda: checkpoint() + zipped(zipfile.ZIP_STORED, data__pkl=pickled(2)), _FULL
    ),
    # Other formats.
    **{f"pickle of protocol {n}": Hostile(partial(pickled, n), _PICKLE) for n in (2, 3, 4, 5)},
    **{f"pickle of protocol {n}": Hostile(partial(pickled, n), _NO_CONTAINER) for n in (0, 1)},
    "torch.save": Hostile(lambda: zipped(zipfile.ZIP_STORED, data__pkl=pickled(2), version=b"3\n"), _PICKLE),
    "zip bomb": Hostile(lambda: zipped(zipfile.ZIP_DEFLATED, data__pkl=pickled(2), data__0=bytes(10**7)), _PICKLE),
    "npz": Hostile(npz, _PICKLE),
    "index of a sharded model": Hostile(lambda: b'{"weight_map": {"a": "model-1.safetensors"}}', _NO_CONTAINER),
    "model of another tool": Hostile(
        lambda: container(
            {"__metadata__": {"format": "pt"}, "w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"1234"
        ),
        "not written by charrnn",
    ),
    # Format and version.
    "no format": Hostile(lambda: without("format"), "not written by charrnn"),
    "no version": Hostile(lambda: without("version"), "its format version is None, not a number"),
    "version 0": Hostile(lambda: checkpoint(version="0"), "format version 0; no charrnn reads it any more"),
    "version 5": Hostile(lambda: checkpoint(version="5"), "format version 5; a newer charrnn reads it, this charrnn"),
    "version 1 with names of version 2": Hostile(lambda: checkpoint(version="1"), "not those of its configuration"),
    "version 5 with all else new": Hostile(
        lambda: container(
            {
                "__metadata__": {"format": "charrnn", "version": "5", "weights": "w"},
                "w": {"dtype": "F4", "shape": [1], "data_offsets": [0, 1]},
            },
            b"1",
        ),
        "format version 5; a newer charrnn reads it, this charrnn reads the versions 1, 2, 4",
    ),
    "version 2**31": Hostile(lambda: checkpoint(version=str(2**31)), "not a number"),
    "version 01": Hostile(lambda: checkpoint(version="01"), "version"),
    **{
        f"version {value!r}": Hostile(partial(checkpoint, version=value), "version is .*, not a number")
        for value in NO_VERSIONS
    },
    # Texts of the metadata.
    **{
        f"no {key}": Hostile(partial(without, key), "its metadata is not that of a checkpoint")
        for key in ("model", "model_sha256", "training", "training_sha256")
    },
    **{
        f"model text {text[:20]!r}": Hostile(partial(checkpoint, model=text), "its model metadata")
        for text in ("", "{", "[]", "null", "NaN", "{}", '{"configuration": 1e999}', "[" * 100_000, '{"a":1,"a":1}')
    },
    **{
        f"training text {text[:20]!r}": Hostile(partial(checkpoint, training=text), "its training metadata")
        for text in ("", "{", "[]", "null", "{}", '{"counters": NaN}', '{"counters": {}, "versions": {}, "more": {}}')
    },
    "digest of the model wrong": Hostile(lambda: checkpoint(model_sha256="0" * 64), "model part is damaged"),
    "digest in capitals": Hostile(
        lambda: checkpoint(model_sha256=parts()[0]["__metadata__"]["model_sha256"].upper()), "model part is damaged"
    ),
    "digest of the training wrong": Hostile(lambda: checkpoint(training_sha256="0" * 64), "training part is damaged"),
    # The configuration.
    **{
        f"{key} {value!r:.20}": Hostile(partial(configured, section, key, value), _CONFIGURATION)
        for section, key, values in FIELDS
        for value in values
    },
    **{
        f"configuration {value!r}": Hostile(
            partial(described, value, {"characters": CHARACTERS, "unit": "character"}),
            _CONFIGURATION,
        )
        for value in NO_TABLES
    },
    "configuration 900 deep": Hostile(
        lambda: configured("model", "layers", json.loads("[" * 900 + "]" * 900)), "hold together|nested too deeply"
    ),
    "another size than the arrays'": Hostile(lambda: configured("model", "hidden_size", 5), "should be F32"),
    "the largest size": Hostile(lambda: configured("model", "hidden_size", 65536), "should be F32"),
    "more layers than arrays": Hostile(lambda: configured("model", "layers", 2), "arrays are not those"),
    "the most layers": Hostile(lambda: configured("model", "layers", 64), "arrays are not those"),
    "another cell than the arrays'": Hostile(lambda: configured("model", "cell", "lstm"), "should be F32"),
    # The vocabulary.
    **{
        f"vocabulary {name}": Hostile(partial(vocabulary, *made), _CONFIGURATION)
        for name, made in NO_VOCABULARIES.items()
    },
    **{f"labels {name}": Hostile(partial(labelled, *made), _CONFIGURATION) for name, made in NO_LABELS.items()},
    "labels without rows": Hostile(partial(labelled, ["a", "b", "c"], [1, 1, 1]), "should be F32"),
    "vocabulary without characters": Hostile(
        lambda: described(configuration(), {"unit": "character"}),
        "vocabulary: characters must be given",
    ),
    "vocabulary with more to say": Hostile(
        lambda: described(configuration(), {"characters": CHARACTERS, "_points": [1]}),
        _CONFIGURATION,
    ),
    "vocabulary of another size than its rows": Hostile(lambda: vocabulary("abcd"), "should be F32"),
    "vocabulary of all characters": Hostile(
        lambda: vocabulary("".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))), "should be F32"
    ),
    # The arrays.
    "array missing": Hostile(lambda: model_arrays(head__bias=None), "arrays are not those"),
    "array too many": Hostile(lambda: model_arrays(more=np.zeros(1, "<f4")), "arrays are not those"),
    "array renamed": Hostile(lambda: model_arrays(head__bias=None, head__Bias=weights()[HEAD_BIAS]), "are not those"),
    "array turned": Hostile(
        lambda: model_arrays(head__weight=weights()["model.head.weight"].T.copy()),
        r"head.weight should be F32 \(6, 4\)",
    ),
    "array in a row more": Hostile(lambda: model_arrays(head__bias=np.zeros((1, 6), "<f4")), "should be F32"),
    **{
        f"array of {kind}": Hostile(
            partial(model_arrays, head__bias=np.zeros(6, kind)), r"has the dtype|should be F32 \(6,\), is U8"
        )
        for kind in ("<f8", "<f2", "|i1", "|b1", "<i4", "|u1")
    },
    **{
        f"a weight that is {number}": Hostile(
            partial(with_nan, number), r"not all numbers in it are finite: model\.head\.bias"
        )
        for number in (math.nan, math.inf, -math.inf)
    },
    "a moment that is nan": Hostile(
        lambda: checkpoint(rest={**moments(), "optimizer.a": np.full(3, math.nan, "<f4")}),
        "not all numbers in it are finite: optimizer.a",
    ),
    # The counters.
    **{
        f"{key} {value!r:.20}": Hostile(partial(counted, **{key: value}), _COUNTERS)
        for key, values in COUNTERS.items()
        for value in values
    },
    "counters are a list": Hostile(lambda: checkpoint(training={"counters": [], "versions": {}}), _COUNTERS),
    **{
        f"versions {value!r}": Hostile(
            partial(checkpoint, training={"counters": {}, "versions": value}), "its versions are not texts"
        )
        for value in NO_TEXTS
    },
}
