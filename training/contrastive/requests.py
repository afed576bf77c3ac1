"""Requests: what a person types who looks for a paper and does not know its words.

A file of requests is JSON Lines; README.md has the rules by which they are written:

    {"id": "2601.16919", "question": "…?", "keywords": "…", "need": "…"}
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from astrosearch.corpus.segments import SegmentedCorpus
from astrosearch.corpus.store import Corpus
from astrosearch.errors import IdentifierError, InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import parse_id
from astrosearch.report import Reporter
from training.json_lines import numbered_lines

FORMS = ("question", "keywords", "need")
"""The forms in which each paper is asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A text in which a paper is asked for."""

    row: int
    """Of the paper."""
    text: str


def read_requests(
    paths: Sequence[Path], corpus: Corpus | SegmentedCorpus, reporter: Reporter, fold: int = 0
) -> list[Request]:
    """The requests for training papers, in the order of the files.

    Those for papers that are held out, or that the corpus does not have, are left out; a line to
    the reporter has their numbers.

    Args:
        paths: JSON Lines of `{"id", "question", "keywords", "need"}`.
        fold: which fifth is held out.

    Raises:
        InputError: if a line is not three requests, a paper has two lines, or there are files, but
            no request for a training paper in them.
    """
    rows = corpus.ids()
    requests: list[Request] = []
    places: dict[str, str] = {}
    held_out = unknown = 0
    for path in paths:
        for place, paper_id, texts in request_lines(path):
            if paper_id in places:
                raise InputError(f"{place}: {paper_id} has its requests in {places[paper_id]}")
            places[paper_id] = place
            if is_held_out(paper_id, fold):
                held_out += 1
            elif paper_id not in rows:
                unknown += 1
            else:
                requests += [Request(rows[paper_id], text) for text in texts]
    if held_out or unknown:
        reporter.notify(
            f"Of {len(places):,} papers with requests, {held_out:,} are held out and {unknown:,} "
            "are not in the corpus: those are left out."
        )
    if paths and not requests:
        names = ", ".join(map(str, paths))
        raise InputError(f"{names}: no request for a training paper of this corpus")
    return requests


def digest(requests: Sequence[Request]) -> str:
    """sha256 over all requests in their order."""
    texts = [[request.row, request.text] for request in requests]
    return hashlib.sha256(orjson.dumps(texts)).hexdigest()


def request_lines(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Place, paper and requests of each line."""
    for place, line in numbered_lines(path):
        try:
            record = orjson.loads(line)
            texts = [" ".join(record[form].split()) for form in FORMS]
            paper_id = parse_id(record["id"]).id
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, IdentifierError) as e:
            expected = 'write {"id", "question", "keywords", "need"}, each a string'
            raise InputError(f"{place}: not the requests for a paper ({e}): {expected}") from None
        if empty := [form for form, text in zip(FORMS, texts, strict=True) if not text]:
            raise InputError(f"{place}: {', '.join(empty)} of {paper_id} is empty")
        yield place, paper_id, texts
