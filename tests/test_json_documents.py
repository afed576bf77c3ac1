"""Records in JSON documents, however their lines fall."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrosearch.corpus.json_documents import UnfinishedDocument, records
from astrosearch.corpus.json_lines import LONGEST_LINE, json_records, parsed
from astrosearch.errors import AstrosearchError, CorpusError, RecordError
from tests.conftest import Run

RECORDS: list[dict[str, Any]] = [
    {"id": f"2401.0000{i}", "title": 'A [b} "c" \\ {', "abstract": "d\ne", "data": [{"docs": []}]}
    for i in range(3)
]
ADS = {
    "responseHeader": {"status": 0, "params": {"q": 'title:"[{" "docs": ['}},
    "response": {"numFound": 3, "docs": RECORDS, "start": 0},
    "highlighting": {"x": [{"a": 1}]},
    "facets": [{"docs": [{"a": 1}]}],
}
DOCUMENTS = {
    "array": json.dumps(RECORDS),
    "indented array": json.dumps(RECORDS, indent=2),
    "a record a line": "[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]\n",
    "answer of ADS": json.dumps(ADS),
    "indented answer of ADS": json.dumps(ADS, indent=4),
    "an answer a line": "\n".join(json.dumps({"response": {"docs": [one]}}) for one in RECORDS),
    "answer of Semantic Scholar": json.dumps({"total": 3, "token": "a", "data": RECORDS}),
    "batch of Semantic Scholar": json.dumps([None, *RECORDS]),
    "feed": json.dumps({"feed": {"title": "x", "entry": RECORDS}}),
    "one after the other": "\n".join(json.dumps(one, indent=1) for one in RECORDS),
    "line ends of Windows": json.dumps(RECORDS, indent=1).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + json.dumps(RECORDS, indent=1),
    "lines": "\n".join(map(json.dumps, RECORDS)),
}


def read(path: Path) -> list[object]:
    return [parsed(record) for _, record in json_records(path)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_records_are_read_from_every_shape_of_document(name: str, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(DOCUMENTS[name].encode())
    assert read(path) == RECORDS
    path.write_bytes(gzip.compress(DOCUMENTS[name].encode()))
    assert read(path) == RECORDS


def test_a_refused_record_is_named_by_the_line_on_which_it_begins(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "document.json", tmp_path / "out.jsonl"
    path.write_text(json.dumps([{**RECORDS[0], "data": 1}, {"id": "2401.00001"}, 5], indent=2))
    said = run("corpus", "import", path, "--out", out).stderr
    assert "2 lines read, 1 refused (1 no abstract)" in said
    refusal = json.loads(out.with_name("out.jsonl.rejected.jsonl").read_text())
    assert (refusal["line"], refusal["reason"]) == (8, "no abstract")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=5), json_values, max_size=4)), st.integers(0, 9))
def test_a_document_may_be_cut_into_blocks_anywhere(
    objects: list[dict[str, Any]], seed: int
) -> None:
    indent = seed % 3 or None
    text = json.dumps({"response": {"docs": objects}}, indent=indent, ensure_ascii=False).encode()
    cuts = sorted(random.Random(seed).choices(range(len(text) + 1), k=seed))
    bounds = zip([0, *cuts], [*cuts, len(text)], strict=True)
    blocks = [text[start:end] for start, end in bounds]
    found = list(records(blocks, longest=2**20))
    assert [json.loads(record) for _, record in found] == objects
    starts = [line for line, _ in found]
    assert starts == sorted(starts)


def test_a_document_that_breaks_off_is_an_error_that_says_where(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    for text in (
        json.dumps(RECORDS, indent=1)[:-30],
        json.dumps(RECORDS, indent=1)[:-1],
        json.dumps(ADS, indent=1)[:-3],
        '[{"id": "a}]',
    ):
        path.write_text(text)
        with pytest.raises(AstrosearchError, match=r"breaks off or is damaged after line \d+"):
            read(path)
    with pytest.raises(UnfinishedDocument):
        list(records([b'[{"a": 1}, {'], longest=100))


def test_a_broken_record_of_a_document_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('[{"id":},\n' + json.dumps(RECORDS)[1:])
    found = list(json_records(path))
    assert [parsed(record) for _, record in found[1:]] == RECORDS
    with pytest.raises(RecordError, match="unexpected"):
        parsed(found[0][1])


def test_a_first_line_that_is_broken_does_not_make_a_document_of_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    for first in ('{"id": "x",', '{"id": "x', '{"id": "x", "authors": ["A"', "{"):
        path.write_text(first + "\n" + "\n".join(map(json.dumps, RECORDS)))
        found = list(json_records(path))
        assert [number for number, _ in found] == [1, 2, 3, 4]
        assert [parsed(record) for _, record in found[1:]] == RECORDS


@pytest.mark.parametrize("content", ["[]", " [ ]\n", '{"response": {"docs": []}}', "[null]"])
def test_a_document_without_records_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text(content)
    with pytest.raises(CorpusError, match="holds no record"):
        read(path)


def test_other_arrays_are_not_documents(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text("[1, 2]")
    with pytest.raises(CorpusError, match="is not JSON Lines"):
        read(path)


def test_a_record_that_is_too_long_is_cut_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    long = {"id": "x", "authors": ["A. Berg"] * 300_000, "data": [RECORDS[0]]}
    path.write_text(json.dumps([RECORDS[0], long, RECORDS[1]], indent=1))
    first, cut, last = (record for _, record in json_records(path))
    assert [parsed(first), parsed(last)] == RECORDS[:2]
    assert len(cut) == LONGEST_LINE
    with pytest.raises(RecordError, match="longer than 1 MB"):
        parsed(cut)


def test_a_text_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text('[{"a": "' + "x" * 2**23)
    with pytest.raises(AstrosearchError, match="breaks off or is damaged"):
        list(json_records(path))


def test_nan_is_what_is_missing(tmp_path: Path) -> None:
    assert parsed(b'{"doi": NaN, "title": "NaN"}') == {"doi": None, "title": "NaN"}
    for line in (b'{"doi": NaN', b'{"doi": NaN,}', b'{"a":' + b"[" * 100_000 + b"NaN"):
        with pytest.raises(RecordError):
            parsed(line)
