"""Judgements: which papers answer a query, according to people or reference lists.

Two formats are read. JSON Lines:

    {"id": "2601.16919", "relevant": ["1905.08667", "2503.14452"]}
    {"query": "gas stripped from a dwarf galaxy", "relevant": ["2503.14368"]}

TREC qrels (https://trec.nist.gov/data/qrels_eng/), with lines `query 0 document relevance`. A query
is an arXiv identifier, or the number of a topic in a second file with lines `query<TAB>text`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from astrosearch.errors import IdentifierError, InputError
from astrosearch.papers import parse_id

HIGHEST_GRADE = 1_000
"""A larger number is not a grade: those of TREC go up to about 4."""


@dataclass(slots=True)
class Judgement:
    """A query and the papers that answer it."""

    id: str | None
    """The paper whose abstract is the query, or None."""
    text: str | None
    """The query in words, or None."""
    relevant: dict[str, int] = field(default_factory=dict)
    """Identifiers of papers, each with its grade, 1 or more."""


def read_judgements(path: Path, topics: Path | None = None) -> list[Judgement]:
    """One judgement for each query, in the order of their first lines.

    Args:
        topics: the queries of TREC qrels, if their numbers are not arXiv identifiers.

    Raises:
        InputError: if the file is empty or cannot be read, or a line is in neither format; the
            message has the line's number.
    """
    texts = _read_topics(topics) if topics else {}
    judgements: dict[tuple[str | None, str | None], Judgement] = {}
    for number, line in _lines(path):
        where = f"{path}:{number}"
        judgement = (
            _json_judgement(line, where)
            if path.suffix in (".json", ".jsonl") or line.startswith("{")
            else _qrels_judgement(line, where, texts)
        )
        first = judgements.setdefault((judgement.id, judgement.text), judgement)
        first.relevant.update(judgement.relevant)
    if not judgements:
        raise InputError(f"{path} is empty: it has no judgements")
    return list(judgements.values())


def _json_judgement(line: str, where: str) -> Judgement:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error})") from None
    expected = 'write {"id": "2601.16919", "relevant": ["1905.08667"]}, or "query" for "id"'
    if not isinstance(record, dict) or ("id" in record) == ("query" in record):
        raise InputError(f"{where}: not a judgement: {expected}")
    query, relevant = record.get("id", record.get("query")), record.get("relevant")
    if (
        not isinstance(query, str)
        or not isinstance(relevant, list)
        or not all(isinstance(paper_id, str) for paper_id in relevant)
    ):
        raise InputError(f"{where}: identifiers and queries are strings: {expected}")
    grades = {_normal_id(paper_id): 1 for paper_id in relevant}
    if "id" in record:
        return Judgement(_normal_id(query), None, grades)
    if not query.strip():
        raise InputError(f"{where}: the query is empty")
    return Judgement(None, " ".join(query.split()), grades)


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
    relevant = {_normal_id(document): grade} if grade > 0 else {}
    return Judgement(None if text else _normal_id(query), text, relevant)


def _read_topics(path: Path) -> dict[str, str]:
    texts = {}
    for number, line in _lines(path):
        query, _, text = line.partition("\t")
        if not text.strip():
            raise InputError(f"{path}:{number}: not a topic: write its number, a tab and its text")
        texts[query.strip()] = " ".join(text.split())
    return texts


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
