"""Judgements: which papers answer a query, according to people or reference lists.

Four formats are read. JSON Lines:

    {"id": "2601.16919", "relevant": ["1905.08667", "2503.14452"]}
    {"query": "gas stripped from a dwarf galaxy", "relevant": ["2503.14368"]}

TREC qrels (https://trec.nist.gov/data/qrels_eng/), with lines `query 0 document relevance`. A query
is an arXiv identifier, or the number of a topic in a second file with lines `query<TAB>text`.

The question sets of Pathfinder (arXiv:2408.01556; `single_paper.json`, `multi_paper.json` and
`multi_paper_sentences.json` in github.com/jsalt2024-evaluating-llms-for-astronomy/retrieval), a
JSON object in which each entry is called after a paper. The answers are the papers in `arxiv`, else
the paper that the entry is called after; identifiers of seven digits are of astro-ph.

    {"1403.0007_6": {"question": "…", "arxiv": ["1010.1164", "0605060"]},
     "1108/1108.0037v2_arXiv.txt": {"question_abstract": "…", "question_conclusion": "…"}}

A table, in CSV, TSV or Parquet, with a column `question` (or `query`) and others whose names tell
of papers: CosmoPaperQA (arXiv:2507.07155) has addresses at arXiv in `source file`.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from astrosearch.errors import IdentifierError, InputError
from astrosearch.papers import parse_id

HIGHEST_GRADE = 1_000
"""A larger number is not a grade: those of TREC go up to about 4."""


@dataclass(slots=True)
class Judgement:
    """A query and the papers that answer it."""

    id: str | None
    """The paper that asks, or None. It is not an answer."""
    text: str | None
    """The query in words; None if the paper itself is the query."""
    relevant: dict[str, int] = field(default_factory=dict)
    """Identifiers of papers, each with its grade, 1 or more."""
    cells_without_id: int = 0
    """Cells of a table that should name a paper, but hold no arXiv identifier."""


def read_judgements(path: Path, topics: Path | None = None) -> list[Judgement]:
    """One judgement for each query, in the order of their first lines.

    Args:
        topics: the queries of TREC qrels, if their numbers are not arXiv identifiers.

    Raises:
        InputError: if the file is empty or cannot be read, or a line is in neither format; the
            message has the line's number.
    """
    judgements: dict[tuple[str | None, str | None], Judgement] = {}
    for judgement in _all_judgements(path, topics):
        first = judgements.setdefault((judgement.id, judgement.text), judgement)
        if first is not judgement:
            first.relevant.update(judgement.relevant)
            first.cells_without_id += judgement.cells_without_id
    if not judgements:
        raise InputError(f"{path} is empty: it has no judgements")
    return list(judgements.values())


def _all_judgements(path: Path, topics: Path | None) -> Iterator[Judgement]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".parquet"):
        yield from _of_table(path, suffix)
    elif questions := _question_set(path):
        yield from _of_questions(path, questions)
    else:
        texts = _read_topics(topics) if topics else {}
        for number, line in _lines(path):
            where = f"{path}:{number}"
            yield (
                _json_judgement(line, where)
                if suffix in (".json", ".jsonl") or line.startswith(("{", "["))
                else _qrels_judgement(line, where, texts)
            )


# --- question sets ---

_ASKING = re.compile(
    r"question(?!_?(?:type|kind|category|class|id|number|source|author|date|year|length)s?$)",
    re.IGNORECASE,
)
"""How fields of an entry begin that ask, such as question_intro; question_type tells of one."""


def _question_set(path: Path) -> dict[str, Mapping[str, Any]] | None:
    """The entries of a file that is one JSON object of objects; None if it is something else.

    Raises:
        InputError: if it cannot be read, a name is repeated, or only some of its entries are
            objects.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        record = orjson.loads(content)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(record, dict):
        return None
    _check_names(str(path), content)
    if not any(isinstance(each, dict) for each in record.values()):
        return None
    for name, entry in record.items():
        if not isinstance(entry, dict):
            raise InputError(f"{path}: {name!r} is not an object with a question")
    return record


def _check_names(where: str, content: bytes | str) -> None:
    """
    Raises:
        InputError: if an object has a name twice: readers of JSON keep only the last of them.
    """

    def check(pairs: list[tuple[str, Any]]) -> None:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                raise InputError(
                    f"{where}: {name!r} is there {count} times in one object: rename all but one"
                )

    # Numbers stay texts: Python refuses to read those of thousands of digits.
    json.loads(content, object_pairs_hook=check, parse_int=str)


def _of_questions(path: Path, questions: Mapping[str, Mapping[str, Any]]) -> Iterator[Judgement]:
    for name, entry in questions.items():
        texts = [
            " ".join(value.split())
            for field_name, value in entry.items()
            if _ASKING.match(field_name) and isinstance(value, str) and value.strip()
        ]
        if not texts:
            raise InputError(f'{path}: {name!r} has no question: add "question": "…"')
        answers = entry.get("arxiv", [_paper_of_entry(name)])
        if not isinstance(answers, list) or not all(isinstance(each, str) for each in answers):
            raise InputError(f"{path}: 'arxiv' of {name!r} is not a list of identifiers")
        for text in texts:
            yield Judgement(None, text, {_with_archive(each): 1 for each in answers})


_IN_NAME = re.compile(
    r"(?:.*/)?(?P<archive>[a-z-]*[a-z])?/?(?P<number>\d[\d.]*\d)(?:v\d+)?(?:_.*|\.txt)?"
)


def _paper_of_entry(name: str) -> str:
    """
    >>> _paper_of_entry("0702/astro-ph0702424_arXiv.txt"), _paper_of_entry("1403.0007_6")
    ('astro-ph/0702424', '1403.0007')
    >>> _paper_of_entry("1509.00858v1.txt")
    '1509.00858'
    """
    match = _IN_NAME.fullmatch(name)
    if match is None:
        return name
    return f"{match['archive']}/{match['number']}" if match["archive"] else match["number"]


def _with_archive(text: str) -> str:
    """The normalised identifier; one of seven digits is of astro-ph."""
    bare = text.strip()
    return _normal_id(f"astro-ph/{bare}" if re.fullmatch(r"\d{7}(v\d+)?", bare) else bare)


# --- tables ---

_ASKS = ("question", "query")
_NAMES_PAPERS = re.compile(r"paper|source|arxiv|url", re.IGNORECASE)
_LARGEST_CELL = 10_000_000


def _of_table(path: Path, suffix: str) -> Iterator[Judgement]:
    names, rows = _parquet_table(path) if suffix == ".parquet" else _text_table(path, suffix)
    if not names:
        return
    asking, papers = _columns(path, names)
    for where, row in rows:
        text = " ".join(str(row[asking] or "").split())
        if not text:
            raise InputError(f"{where} has no question")
        judgement = Judgement(None, text)
        for cell in map(row.get, papers):
            ids = list(_papers_in(cell))
            judgement.relevant.update(dict.fromkeys(ids, 1))
            if not ids and cell is not None and str(cell).strip():
                judgement.cells_without_id += 1
        yield judgement


_Row = tuple[str, Mapping[str, Any]]
"""Where a row is, for messages, and its cells by the names of the columns."""


def _parquet_table(path: Path) -> tuple[list[str], Iterator[_Row]]:
    """The names of the columns, and the rows."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    rows = ((f"{path}: row {number}", row) for number, row in enumerate(table.to_pylist(), start=1))
    return table.column_names, rows


def _text_table(path: Path, suffix: str) -> tuple[list[str], Iterator[_Row]]:
    """The names of the columns, and the rows."""
    csv.field_size_limit(_LARGEST_CELL)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            # Otherwise a quotation mark that is not closed would swallow the rows behind it.
            separator = "\t" if suffix == ".tsv" else ","
            reader = csv.DictReader(stream, delimiter=separator, strict=True)
            names = list(reader.fieldnames or ())
            rows = []
            for row in reader:
                line = reader.line_num
                rows.append((f"{path}:{line}", row))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8") from None
    except csv.Error as error:
        raise InputError(
            f"{path} is not a table ({error}): look at the quotation marks behind line {line}"
        ) from None
    return names, (_whole_row(where, row, len(names)) for where, row in rows)


def _whole_row(where: str, row: dict[str | Any, Any], columns: int) -> _Row:
    """
    Raises:
        InputError: if the row has more cells than the table has columns.
    """
    surplus = row.pop(None, [])
    if any(cell.strip() for cell in surplus):
        raise InputError(
            f"{where} has {columns + len(surplus)} cells, the table {columns} columns: put cells "
            "that contain the separator in quotes"
        )
    return where, row


def _columns(path: Path, names: Sequence[str]) -> tuple[str, list[str]]:
    """The names of the column of questions, and of those of papers.

    Raises:
        InputError: if one is missing, or two have the same name.
    """
    plain = [name.strip().lower() for name in names]
    asking = next((name for name in _ASKS if name in plain), None)
    papers = [name for name in plain if _NAMES_PAPERS.search(name)]
    if asking is None or not papers:
        parts = {part.strip() for name in plain if ";" in name for part in name.split(";")}
        if parts & {*_ASKS}:
            raise InputError(
                f"{path} has semicolons between its columns: the separator has to be a comma, or "
                "in a .tsv file a tab"
            )
        raise InputError(
            f"{path} has the columns {', '.join(plain)}: one has to be called question, and one "
            "after papers, as paper or source"
        )
    for name in (asking, *papers):
        if plain.count(name) > 1:
            raise InputError(
                f"{path} has {plain.count(name)} columns called {name}: give each its own name"
            )
    return names[plain.index(asking)], [names[plain.index(name)] for name in papers]


def _papers_in(cell: object) -> Iterator[str]:
    """The arXiv identifiers in a cell, which is a text or a list of texts."""
    for text in cell if isinstance(cell, list) else [cell]:
        for word in re.split(r"[\s,;]+", str(text or "")):
            try:
                yield parse_id(word).id
            except IdentifierError:
                continue


# --- lines ---


def _json_judgement(line: str, where: str) -> Judgement:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON ({error.msg}): unless the whole file is a question set, each line "
            "has to be one JSON object"
        ) from None
    _check_names(where, line)
    expected = (
        'write in each line {"id": "2601.16919", "relevant": ["1905.08667"]}, or "query" for "id"'
    )
    names = {"id", "query"} & record.keys() if isinstance(record, dict) else ()
    if not names:
        raise InputError(f"{where}: not a judgement: {expected}")
    if "relevant" not in record:
        raise InputError(f'{where}: "relevant" is missing: {expected}')
    relevant = record["relevant"]
    if not isinstance(relevant, list) or not all(
        isinstance(each, str) for each in (*map(record.get, names), *relevant)
    ):
        raise InputError(f"{where}: identifiers and queries are strings: {expected}")
    paper_id = _normal_id(record["id"]) if "id" in record else None
    text = " ".join(record["query"].split()) if "query" in record else None
    if text == "":
        raise InputError(f"{where}: the query is empty")
    return Judgement(paper_id, text, {_normal_id(each): 1 for each in relevant})


def _qrels_judgement(line: str, where: str, texts: dict[str, str]) -> Judgement:
    fields = line.split()
    try:
        query, _, document, grade = fields[0], fields[1], fields[2], int(fields[3])
        if len(fields) != 4 or abs(grade) > HIGHEST_GRADE:
            raise ValueError
    except (IndexError, ValueError):
        raise InputError(
            f"{where}: neither JSON nor a line of TREC qrels (query 0 document relevance)"
        ) from None
    text = texts.get(query)
    if not texts and not _is_id(query):
        raise InputError(
            f"{where}: query {query} is not an arXiv identifier: give the topics' texts by "
            "--topics FILE"
        )
    relevant = {_normal_id(document): grade} if grade > 0 else {}
    return Judgement(None if text else _normal_id(query), text, relevant)


def _read_topics(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, line in _lines(path):
        query, _, text = line.partition("\t")
        if not text.strip():
            raise InputError(f"{path}:{number}: not a topic: write its number, a tab and its text")
        query = query.strip()
        if query in texts:
            raise InputError(f"{path}:{number}: topic {query} is there twice: keep one of them")
        texts[query] = " ".join(text.split())
    return texts


def _is_id(text: str) -> bool:
    try:
        parse_id(text)
    except IdentifierError:
        return False
    return True


def _normal_id(text: str) -> str:
    """The normalised identifier. Other text stays as it is: no index has a paper of that name."""
    try:
        return parse_id(text).id
    except IdentifierError:
        return text


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8") from None
