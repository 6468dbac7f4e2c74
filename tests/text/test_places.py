"""Where a text of a run is looked for, and the copy that a run may keep: the bytes that it learned, or a refusal."""

import gzip
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import DataError
from charrnn.settings.run import RunConfig
from charrnn.text.corpus import Corpus
from charrnn.text.places import changed_at
from charrnn.text.training_text import own_text
from charrnn.training.loop import resume, train
from tests.conftest import tiny_run

TEXT = b"the cat sat on the mat, and the dog on the log\n" * 9


def trained(config: RunConfig, *, keep_text: bool = False) -> Path:
    """The folder of a new run."""
    list(train(config.override({"steps": 1}), "run", keep_text=keep_text))
    return Path("checkpoints/run").absolute()


def read(run: Path) -> Corpus:
    """The text of a run, read again."""
    path = Run(run).pointed("latest")
    assert path is not None
    checkpoint = from_file(path)
    assert checkpoint.folder == run
    corpus = own_text(checkpoint.config, checkpoint.vocabulary, run, "name one")
    assert corpus.sha256 == checkpoint.config.record.corpus_sha256
    return corpus


@pytest.fixture
def elsewhere(folder: Path) -> Path:
    (folder / "here").mkdir()
    (folder / "elsewhere").mkdir()
    os.chdir(folder / "here")  # which `folder` undoes
    (folder / "here" / "text.txt").write_bytes(TEXT)
    return folder / "elsewhere"


def test_a_text_is_found_from_another_folder(elsewhere: Path) -> None:
    run = trained(tiny_run(Path("text.txt")))
    os.chdir(elsewhere)
    read(run)


def test_a_run_that_was_moved_knows_where_its_text_is(elsewhere: Path) -> None:
    run = trained(tiny_run(Path("text.txt")))
    moved = run.rename(elsewhere / "moved")
    os.chdir(elsewhere)
    read(moved)


def test_a_project_that_was_moved_has_its_texts_beside_its_runs(elsewhere: Path) -> None:
    trained(tiny_run(Path("text.txt")))
    moved = Path.cwd().rename(elsewhere / "project")
    os.chdir(elsewhere)
    read(moved / "checkpoints" / "run")


def test_another_text_of_that_name_is_passed_over_or_refused(elsewhere: Path) -> None:
    run = trained(tiny_run(Path("text.txt")))
    (elsewhere / "text.txt").write_bytes(TEXT[::-1])
    learned = run.parent.parent / "text.txt"
    os.chdir(elsewhere)
    read(run)
    learned.write_bytes(TEXT[1:])
    with pytest.raises(DataError, match=r"text\.txt has changed since the model was trained on it; name one"):
        read(run)
    learned.unlink()
    (elsewhere / "text.txt").unlink()
    with pytest.raises(DataError) as caught:
        read(run)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "cannot be read again: cannot read the text 'text.txt': No such file" in lines[0]
    assert lines[1].startswith(f"looked for in {elsewhere}, {learned.parent}, ")


def test_a_glob_is_counted_from_a_folder_whose_name_looks_like_one(elsewhere: Path) -> None:
    Path("a[1]").mkdir()
    os.chdir("a[1]")
    Path("text.txt").write_bytes(TEXT)
    run = trained(tiny_run(Path("*.txt")))
    os.chdir(elsewhere)
    read(run)


def test_an_absolute_name_is_looked_for_in_one_place(elsewhere: Path) -> None:
    path = Path("text.txt").absolute()
    run = trained(tiny_run(path))
    path.unlink()
    with pytest.raises(DataError) as caught:
        read(run)
    assert "looked for" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_kept_unpacked(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    given = io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT) if packed else TEXT))
    monkeypatch.setattr(sys, "stdin", given)
    run = trained(tiny_run(Path("-")), keep_text=True)
    assert (run / "text.txt").read_bytes() == TEXT
    os.chdir(elsewhere)
    read(run)
    list(resume(find_resumable(str(run)), {"steps": 2}))
    read(run)
    (run / "text.txt").write_bytes(TEXT[::-1])
    with pytest.raises(DataError, match="has changed"):
        read(run)
    (run / "text.txt").unlink()
    with pytest.raises(DataError, match="cannot be read again"):
        read(run)


def test_standard_input_that_was_not_kept_is_not_waited_for(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    run = trained(tiny_run(Path("-")))
    with pytest.raises(DataError, match="standard input, which cannot be read again; name one"):
        read(run)


@pytest.mark.parametrize("documents", ["none", "file"])
def test_several_sources_are_kept_as_they_are_divided(elsewhere: Path, documents: str) -> None:
    for number in range(5):
        Path(f"{number}.txt").write_bytes(TEXT[number * 7 :])
    config = tiny_run(Path("?.txt"), documents=documents)
    run = trained(config, keep_text=True)
    before = read(run)
    for number in range(5):
        Path(f"{number}.txt").unlink()
    os.chdir(elsewhere)
    again = read(run)
    assert (again.tokens.ids == before.tokens.ids).all()
    assert (again.tokens.offsets == before.tokens.offsets).all()


def test_labels_by_folder_are_kept(elsewhere: Path) -> None:
    for label in ("sea", "hill"):
        Path("folk", label).mkdir(parents=True)
        for number in range(3):
            Path("folk", label, f"{number}.txt").write_bytes(TEXT[number:] + label.encode())
    config = tiny_run(Path("folk"))
    run = trained(replace(config, text=replace(config.text, labels=True, documents="file")), keep_text=True)
    Path("folk").rename("gone")
    assert read(run).vocabulary.labels == ("hill", "sea")


def test_no_checkpoint_and_no_settings_have_the_folder(elsewhere: Path) -> None:
    run = trained(tiny_run(Path("text.txt")))
    assert json.loads((run / "text.json").read_bytes()) == {"folder": str(run.parent.parent)}
    for path in run.iterdir():
        assert (path.name == "text.json") == (os.fsencode(run.parent.parent) in path.read_bytes())


@pytest.mark.parametrize(
    "record",
    [
        *("", "[]", "{}", '{"folder": 3}', '{"folder": "x", "parts": 3}', '{"folder": "x", "parts": [[1]]}'),
        *('{"folder": "x", "parts": [[-1, null]]}', '{"folder": "x", "changed_at": ["a"]}', "[" * 100_000),
    ],
)
def test_a_damaged_record_is_told(elsewhere: Path, record: str) -> None:
    run = trained(tiny_run(Path("text.txt")))
    (run / "text.json").write_text(record)
    with pytest.raises(DataError, match=r"text\.json: .*; remove it, and name the text yourself"):
        read(run)
    (run / "text.json").unlink()
    read(run)
    os.mkfifo(run / "text.json")
    with pytest.raises(DataError, match=r"text\.json"):  # and it is not waited for
        read(run)


def test_a_change_of_text_is_noted(elsewhere: Path) -> None:
    run = trained(tiny_run(Path("text.txt")), keep_text=True)
    assert changed_at(run) == []
    Path("other.txt").write_bytes(TEXT[::-1])
    list(resume(find_resumable(str(run)), {"corpus": ("other.txt",), "steps": 2}, accept_new_corpus=True))
    assert changed_at(run) == [1]
    os.chdir(elsewhere)
    read(run)
