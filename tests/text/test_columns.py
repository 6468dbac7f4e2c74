"""A column of CSV, TSV or JSON lines: each row's text is a document, whatever stands in it."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.errors import DataError, UsageError
from charrnn.evaluation.evaluate import open_reading
from charrnn.settings.text import TextConfig
from charrnn.text import sources
from charrnn.training.loop import train
from tests.conftest import tiny_run
from tests.text.reading import documents_of, read

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)

cells = st.text(st.sampled_from("ab,;\t\"'\r\n\\한\u2028\x0b\x85{[ "), max_size=9)
rows = st.lists(st.tuples(cells, cells, cells), max_size=6)
tables = rows.map(lambda table: [("0", "enough to learn", ""), *table])


def as_csv(table: list[tuple[str, ...]], delimiter: str, end: str) -> str:
    out = io.StringIO(newline="")
    has_line_ends = any(set("\r\n") & set(cell) for row in table for cell in row)
    quoting = csv.QUOTE_ALL if has_line_ends else csv.QUOTE_MINIMAL  # which minds one kind of line end only
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(("id", "text", "other"))
    writer.writerows(table)
    return out.getvalue()


def as_json(table: list[tuple[str, ...]], ascii_only: bool) -> str:
    records = (dict(zip(("id", "text", "other"), row, strict=True)) for row in table)
    return "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records)


@in_a_folder
@given(
    table=tables,
    kind=st.sampled_from([("csv", ","), ("csv", ";"), ("tsv", "\t"), ("txt", ","), ("txt", "\t")]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    size=st.integers(1, 9),
    packed=st.booleans(),
)
def test_what_csv_wrote_is_read(
    folder: Path, table: list[tuple[str, ...]], kind: tuple[str, str], end: str, size: int, packed: bool
) -> None:
    suffix, delimiter = kind
    name = f"a.{suffix}{'.gz' * packed}"
    data = as_csv(table, delimiter, end).encode()
    Path(name).write_bytes(gzip.compress(data, 1) if packed else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", size)
        corpus = read(name, column="text", seed=1, validation=0)
    assert documents_of(corpus) == tuple(text for _, text, _ in table if text)
    empty = sum(not text for _, text, _ in table)
    told = [notice for notice in corpus.notices if "rows have no text" in notice]
    assert told == ([f"{empty} of {len(table)} rows have no text in the column 'text'"] if empty else [])


@in_a_folder
@given(table=tables, ascii_only=st.booleans(), suffix=st.sampled_from(["jsonl", "ndjson", "txt"]))
def test_what_json_wrote_is_read(folder: Path, table: list[tuple[str, ...]], ascii_only: bool, suffix: str) -> None:
    Path(f"a.{suffix}").write_bytes(as_json(table, ascii_only).encode())
    corpus = read(f"a.{suffix}", column="text", seed=1, validation=0)
    assert documents_of(corpus) == tuple(text for _, text, _ in table if text)


def test_rows_are_treated_as_documents_are(folder: Path) -> None:
    Path("a.csv").write_bytes('text\n"e\u0301\r\nx"\n'.encode())
    assert documents_of(read("a.csv", column="text", newlines="lf", normalize="nfc")) == ("é\nx",)
    Path("b.csv").write_bytes("\ufefftext\ncafé\n".encode())
    assert documents_of(read("a.csv", "b.csv", column="text")) == ("e\u0301\r\nx", "café")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "id,body\n1,x\n", r"a.csv has no column 'text'; it has 'id', 'body'"),
        ("a.csv", "", "has no column 'text'; it has none"),
        ("a.csv", "id,text\n1,x\n2,y,z\n", "row 2, which ends in line 3, has 3 fields; the header has 2"),
        ("a.tsv", 'id\ttext\n1\t"x" y\n', "row 1, in line 2, is not as CSV and TSV have it"),
        ("a.csv", 'text\n"x\n', "row 1, in line 2, is not as CSV"),
        ("a.jsonl", '{"id": 1}\n', "a.jsonl has no column 'text'; it has 'id'"),
        ("a.jsonl", '{"text": 5}\n', "line 1 has no text in 'text', but 5"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "line 2 is no JSON"),
        ("a.jsonl", '[{"text": "x"}]\n', "line 1 has no JSON object.*\n.*jq -c"),
        ("a.json", '[\n{"text": "x"}]\n', "line 1 is no JSON.*\n.*jq -c"),
        ("a.jsonl", '{"text": "x\\ud800y"}\n', "line 1 has a lone surrogate"),
        ("a.jsonl", "[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_what_cannot_be_read_is_told(folder: Path, name: str, data: str, message: str) -> None:
    Path(name).write_text(data)
    with pytest.raises(DataError, match=message) as caught:
        read(name, column="text", seed=1)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_key_that_is_lacking_later_is_no_text(folder: Path) -> None:
    Path("a.jsonl").write_text('{"text": "xyz"}\n\n{"id": 1}\n{"text": null}\n')
    corpus = read("a.jsonl", column="text", seed=1)
    assert documents_of(corpus) == ("xyz",)
    assert "2 of 3 rows have no text in the column 'text'" in corpus.notices


def test_a_folder_means_its_tables(folder: Path) -> None:
    (folder / "tables").mkdir()
    (folder / "tables/a.csv").write_text("text\none\n")
    (folder / "tables/b.jsonl").write_text('{"text": "two"}\n')
    (folder / "tables/c.txt").write_text("three")
    assert documents_of(read("tables", column="text")) == ("one", "two")


def test_columns_are_of_characters() -> None:
    with pytest.raises(UsageError, match="column reads characters"):
        TextConfig(column="text", unit="byte")


@pytest.mark.slow
def test_a_model_of_a_column_reads_tables_and_other_texts(folder: Path) -> None:
    Path("a.csv").write_text("id,text\n" + "".join(f'{k},"row {k % 7}, said"\n' for k in range(40)))
    list(train(tiny_run(Path("a.csv").absolute(), column="text", documents="row"), "run"))
    latest = Run(Path("checkpoints/run")).pointed("latest")
    assert latest is not None
    checkpoint = from_file(latest)
    assert "i" in checkpoint.vocabulary.characters
    assert set('"\n') & set(checkpoint.vocabulary.characters) == set()
    Path("b.jsonl").write_text('{"text": "row 1, said"}\n')
    Path("c.txt").write_text("row 1, said")
    assert open_reading(checkpoint, ("b.jsonl",)).tokens.lengths.tolist() == [12]
    assert open_reading(checkpoint, ("c.txt",)).tokens.lengths.tolist() == [12]  # as the model writes it
    assert open_reading(checkpoint, text="row 1, said").score().unknown == 0
    assert len(open_reading(checkpoint).tokens.lengths) == 4
    Path("d.csv").write_text("row\n1\n")
    with pytest.raises(DataError, match="has no column 'text'; it has 'row'"):
        open_reading(checkpoint, ("d.csv",))


def test_the_name_tells_how_a_large_table_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.corpus.SMALL", 10)
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    for name in ("a.csv", "a.tsv"):
        Path(name).write_text("id,text\n1,some text\n")
    assert documents_of(read("a.csv", column="text", seed=1)) == ("some text",)
    with pytest.raises(DataError, match=r"a\.tsv has no column"):
        read("a.tsv", column="text", seed=1)
