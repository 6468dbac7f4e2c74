"""The encoded copy of a large text: built once, whole or absent, and nothing else is ever trusted."""

import errno
import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import ResourceError
from charrnn.settings.text import TextConfig
from charrnn.text import cache, spool
from charrnn.text import corpus as corpus_module
from charrnn.text.batches import Episodes, Tapes
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary
from tests.prepared import Process, prepared
from tests.text.reading import documents_of, read

CACHE = Path("cache")


@pytest.fixture
def text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text in lines that counts as a large one."""
    monkeypatch.setattr(corpus_module, "SMALL", 100)
    monkeypatch.setenv("CHARRNN_CACHE", str(CACHE))
    path = folder / "text.txt"
    path.write_text("the cat sat\r\non the mat\n한국어\n" * 20)
    return path


def files() -> list[Path]:
    return sorted(CACHE.iterdir())


def same(a: Corpus, b: Corpus) -> bool:
    """Whether the token ids are equal, and all that goes with them."""
    arrays = [[*c.tokens, *(c.validation or ())] for c in (a, b)]
    equal = all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(*arrays, strict=True))
    return equal and (a.vocabulary, a.sha256, a.notices[1:]) == (b.vocabulary, b.sha256, b.notices[1:])


def test_a_large_text_is_encoded_once(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(text, seed=1)
    (path,) = files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(CACHE.stat().st_mode) == 0o700
    assert str(path) in first.notices[0]
    assert "encoded it into" in first.notices[0]
    assert "can be deleted" in first.notices[0]
    before = path.stat()
    monkeypatch.setattr(corpus_module, "SpooledText", None)  # by which it would be read again
    second = read(text, seed=1)
    assert same(first, second)
    assert "read it encoded from" in second.notices[0]
    assert "1 CRLF" not in second.notices[1]
    assert "20 CRLF" in second.notices[1]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not second.tokens.ids.flags.writeable


def test_a_small_text_leaves_nothing_on_the_disk(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = read(text, seed=1)
    monkeypatch.setattr(corpus_module, "SMALL", 10_000)
    monkeypatch.setenv("CHARRNN_CACHE", "elsewhere")
    small = read(text, seed=1)
    assert np.array_equal(small.tokens.ids, large.tokens.ids)
    assert not Path("elsewhere").exists()


def test_what_decides_the_ids_decides_the_file(text: Path) -> None:
    options: list[dict[str, object]] = [
        *({}, {"unit": "byte"}, {"encoding": "latin-1"}, {"normalize": "nfd"}, {"newlines": "lf"}),
        *({"documents": "line"}, {"validation": 0.3}),
    ]
    for count, option in enumerate(options, start=1):
        read(text, seed=1, **option)
        assert len(files()) == count
    read(text, seed=2)  # a running text is not cut by chance
    assert len(files()) == len(options)
    read(text, seed=2, documents="line")
    assert len(files()) == len(options) + 1
    text.write_text("another text " * 20)
    read(text, seed=1)
    assert len(files()) == len(options) + 2
    text.rename("renamed.txt")
    read("renamed.txt", seed=1)
    assert len(files()) == len(options) + 2


def test_a_text_is_encoded_with_the_vocabulary_of_a_model(text: Path) -> None:
    own = read(text)
    config = TextConfig(corpus=(str(text),))
    assert same(read_corpus(config, vocabulary=own.vocabulary), own)
    assert len(files()) == 1  # it is that of the text itself
    other = Vocabulary.of("the cat", "character")
    for _ in range(2):
        found = read_corpus(config, vocabulary=other)
        assert found.vocabulary == other
        assert np.array_equal(found.tokens.ids[1:-1], other.encode("".join(documents_of(own))))
        assert len(files()) == 2


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "torn in the prefix": lambda data: data[:20],
    "torn in the header": lambda data: data[:200],
    "torn in the ids": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "another format": lambda data: b"something" + data[9:],
    "a header that says otherwise": lambda data: data.replace(b'"cat', b'"cot', 1).replace(b'"size"', b'"sise"', 1),
    "a length beyond everything": lambda data: data[:8] + b"\xff" * 8 + data[16:],
    "something else": lambda _: b"a text of somebody's " * 100,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_torn_or_foreign_is_built_anew(text: Path, damage: Callable[[bytes], bytes]) -> None:
    first = read(text, seed=1)
    (path,) = files()
    data = path.read_bytes()
    del first
    assert damage(data) != data
    path.write_bytes(damage(data))
    again = read(text, seed=1)
    assert "encoded it into" in again.notices[0]
    assert path.read_bytes() == data
    assert files() == [path]


def test_a_file_of_another_text_is_not_taken(text: Path) -> None:
    read(text, seed=1)
    (path,) = files()
    text.write_text("another text " * 20)
    other = read(text, seed=1)
    (new,) = set(files()) - {path}
    path.replace(new)
    assert same(read(text, seed=1), other)


def test_a_file_can_be_deleted_while_it_is_read(text: Path) -> None:
    corpus = read(text)
    before = corpus.tokens.ids.tolist()
    files()[0].unlink()
    corpus.tokens.release()
    assert corpus.tokens.ids.tolist() == before


# A process that reads the text with the cache of this folder, and has something done to it at some point.
READER = """
import os, signal, sys, time
from charrnn.text import cache, corpus, spool
from charrnn.settings.text import TextConfig
corpus.SMALL = 100
{before}
found = corpus.read_corpus(TextConfig(corpus=("text.txt",)), 1)
print(found.tokens.ids.tobytes().hex(), len(found.notices))
"""


def reader(before: str = "") -> Process:
    return prepared().start([], program=READER.format(before=before), stdout=subprocess.PIPE)


def test_builders_that_race_both_succeed(text: Path) -> None:
    """Both have found nothing, and have written all, before either is done."""
    meet = (
        "real = os.fsync\n"
        "def fsync(file):\n"
        "    real(file)\n"
        "    open(f'here{os.getpid()}', 'w').close()\n"
        "    while len([n for n in os.listdir('.') if n.startswith('here')]) < 2: time.sleep(0.01)\n"
        "os.fsync = fsync"
    )
    with reader(meet) as one, reader(meet) as other:
        said = [process.stdout.read() for process in (one, other) if process.stdout]
        assert [process.wait(60) for process in (one, other)] == [0, 0]
    assert said[0] == said[1]
    assert said[0].split()[0].decode() == read(text, seed=1).tokens.ids.tobytes().hex()
    assert len(files()) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("moment", ["fsync", "replace", "write"])
def test_a_builder_that_is_killed_leaves_nothing_that_is_trusted(text: Path, moment: str) -> None:
    with reader(f"os.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.wait(60) == -signal.SIGKILL
    (left,) = files()
    assert left.name.endswith(".tmp")
    assert "encoded it into" in read(text, seed=1).notices[0]
    assert left not in files()
    assert len(files()) == 1


@pytest.mark.skipif(os.name != "posix", reason="locks")
def test_what_a_living_builder_writes_is_left_to_it(text: Path) -> None:
    with reader("os.fsync = lambda *_: (print('here', flush=True), time.sleep(60))") as process:
        assert process.stdout
        assert process.stdout.readline() == b"here\n"
        (left,) = files()
        read(text, seed=1)
        assert left in files()
        process.kill()
    read(text, seed=1, normalize="nfc")
    assert left not in files()


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_nothing_and_says_what_to_do(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.write, 2

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        left -= 1
        return real(descriptor, data) if left else full()

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ResourceError) as caught:
        read(text, seed=1)
    assert caught.value.exit_code == 7
    said = str(caught.value)
    assert "cannot write cache" in said
    assert "No space left" in said
    assert "make room for twice the size of the text, or name another folder by CHARRNN_CACHE" in said
    assert len(said.splitlines()) == 2
    assert files() == []


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_failure_at_the_end_leaves_nothing(text: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, name, full)
    with pytest.raises(ResourceError, match="No space left"):
        read(text, seed=1)
    assert files() == []


def test_an_interrupted_builder_leaves_nothing(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(text, seed=1)
    assert files() == []


def test_no_room_for_the_spool_is_told_as_well(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        write = seek = full

        def close(self) -> None: ...

    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: Full())
    with pytest.raises(ResourceError, match=r"cannot write cache.*No space left"):
        read(text, seed=1)
    assert files() == []


def test_a_cache_folder_that_cannot_be_made(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(text / "cache"))
    with pytest.raises(ResourceError, match=r"cannot write .*text.txt/cache.*Not a directory.*\nmake it writable"):
        read(text, seed=1)


def test_where_the_cache_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert spool.cache_folder() == folder / ".cache" / "charrnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which is to be ignored
    assert spool.cache_folder() == folder / ".cache" / "charrnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
    assert spool.cache_folder() == folder / "xdg" / "charrnn"
    monkeypatch.setenv("CHARRNN_CACHE", "own")
    assert spool.cache_folder() == Path("own")


def test_arrays_come_back_as_they_were_written(text: Path) -> None:
    arrays = {
        "a": np.arange(1000, dtype=np.uint16),
        "none": np.empty(0, dtype=np.int64),
        "b": np.arange(7, dtype=np.uint32),
        "last": np.empty(0, dtype=np.uint8),
    }
    shapes = {name: (array.dtype, len(array)) for name, array in arrays.items()}
    pieces = [("b", arrays["b"][:3]), ("a", arrays["a"][:600]), ("b", arrays["b"][3:]), ("a", arrays["a"][600:])]
    notes = json.loads(json.dumps({"characters": "".join(map(chr, range(0x20, 0x3000)))}))
    for found in (cache.build({"k": 1}, notes, shapes, pieces), cache.find({"k": 1})):
        assert found is not None
        assert found.notes == notes
        assert found.arrays.keys() == arrays.keys()
        assert all(np.array_equal(found.arrays[k], a) and found.arrays[k].dtype == a.dtype for k, a in arrays.items())
    assert cache.find({"k": 2}) is None


def mapped_memory() -> int:
    """How much of mapped files is in memory, in bytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile")]
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_reading_a_mapped_text_from_end_to_end_keeps_little_in_memory(text: Path) -> None:
    size = 2**27
    pieces = [("ids", np.full(2**20, k % 200, np.uint8)) for k in range(size >> 20)]
    cached = cache.build({}, {}, {"ids": (np.dtype(np.uint8), size)}, pieces)
    before = mapped_memory()
    assert cached.arrays["ids"].sum() > 0
    assert mapped_memory() - before > 0.9 * size
    running = Tokens(cached.arrays["ids"], np.array([0, size]))
    running.release()
    assert mapped_memory() - before < 0.1 * size
    documents = Tokens(running.ids, np.arange(0, size + 1, 2**17))
    for batches in (Tapes(running, 64, 4096), Episodes(documents, 64, 2**13, seed=1)):
        most = 0
        for step in range(batches.steps_per_epoch):
            batches.batch(step)
            most = max(most, mapped_memory() - before)
        assert most < 0.5 * size
