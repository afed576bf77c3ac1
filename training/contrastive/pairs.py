"""Pairs of texts that belong together, which every corpus has, for a contrastive stage.

title       title → abstract
half        one half of an abstract → the other half
sentence    a sentence → title and abstract without it
span        a few words of title or abstract, as one would type them → title and abstract
related     title and abstract → those of a paper it cites or of the same series, where known
request     what a person types who does not know a paper's words → title and abstract, where known
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrosearch.corpus.segments import SegmentedCorpus
from astrosearch.corpus.store import Corpus
from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import read_judgements
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper
from astrosearch.report import SILENT, Reporter
from astrosearch.text.analysis import STOP_WORDS
from astrosearch.text.sentences import halves, sentences
from training.contrastive.citation_pairs import graph_of, related_rows
from training.contrastive.requests import Request
from training.json_lines import normal_id, numbered_lines, record_of

SHARES = {"title": 0.35, "half": 0.25, "sentence": 0.15, "span": 0.2, "related": 0.05}
"""How often each kind but `request` is drawn of the pairs that are no requests. For a paper without
relations `title` takes the place of `related`."""

SPAN_WORDS = (2, 7)
"""Fewest and most words of a span, as in short queries."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together."""

    query: str
    document: str
    rows: tuple[int, int]
    """Rows of the query's and the document's paper; they differ only for related papers."""
    kind: str


class _Rounds:
    """Numbers below `count` in rounds without end: each round has all of them, in a new order."""

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self._count = count
        self._seed = seed
        self._round: tuple[int, NDArray[np.int64]] | None = None

    def __getitem__(self, number: int) -> int:
        turn, place = divmod(number, self._count)
        if self._round is None or self._round[0] != turn:
            order = np.random.default_rng([*self._seed, turn]).permutation(self._count)
            self._round = (turn, order)
        return int(self._round[1][place])


class PairSampler:
    """Draws pairs from training papers; pair `i` is always the same.

    Each round takes every paper once, in a new order. Requests come in rounds of their own, between
    the papers: so a batch holds a paper once, except for a request or where two rounds meet.
    """

    def __init__(
        self,
        corpus: Corpus | SegmentedCorpus,
        related: Mapping[int, Sequence[int]],
        seed: int,
        *,
        requests: Sequence[Request] = (),
        request_share: float = 0.0,
        related_share: float = SHARES["related"],
        held_out: bool = False,
        fold: int = 0,
    ) -> None:
        """
        Args:
            corpus: papers; those that are held out are never drawn.
            related: rows of papers to rows of papers related to them.
            requests: of papers that are drawn.
            request_share: the share of all pairs that are requests, if there are any.
            related_share: the share of the others that are related papers; the kinds beside it keep
                their proportions.
            held_out: draw the held-out papers and no others: for evaluation, not for training.
            fold: which fifth is held out.
        """
        self.corpus = corpus
        self.related = related
        self._seed = seed
        ids = corpus.ids()
        rows = [row for paper_id, row in ids.items() if is_held_out(paper_id, fold) == held_out]
        self.rows = np.array(sorted(rows), dtype=np.int64)
        self._paper_rounds = _Rounds(len(self.rows), [seed])
        self._requests = requests
        self._shares = _shares(related_share)
        self._request_share = request_share if requests else 0.0
        self._request_rounds = _Rounds(len(requests), [seed, 5])

    def __len__(self) -> int:
        """Papers that are drawn."""
        return len(self.rows)

    def pair(self, number: int) -> Pair:
        """Pair `number`, counted from 0 without end."""
        before = int(number * self._request_share)  # requests among the earlier pairs
        if int((number + 1) * self._request_share) > before:
            request = self._requests[self._request_rounds[before]]
            (paper,) = self.corpus.papers([request.row])
            return Pair(request.text, paper.text, (request.row, request.row), "request")
        row = int(self.rows[self._paper_rounds[number - before]])
        (paper,) = self.corpus.papers([row])
        draw = np.random.default_rng([self._seed, 1, number])
        kind = str(draw.choice(list(SHARES), p=self._shares))
        if kind == "related" and row in self.related:
            other = int(draw.choice(self.related[row]))
            (cited,) = self.corpus.papers([other])
            return Pair(paper.text, cited.text, (row, other), kind)
        query, document, kind = _parts(paper, kind, draw)
        return Pair(query, document, (row, row), kind)

    def false_negative_mask(
        self, pairs: Sequence[tuple[int, int]], documents: Sequence[int]
    ) -> NDArray[np.bool_]:
        """(pairs, documents) bool: True where a document must not count as a negative of a pair's
        query, because its paper is one of the pair's or related to the query's.

        Args:
            pairs: rows of each pair's papers.
            documents: rows of the documents' papers.
        """
        columns: dict[int, list[int]] = defaultdict(list)
        for column, row in enumerate(documents):
            columns[row].append(column)
        mask = np.zeros((len(pairs), len(documents)), dtype=bool)
        for line, (query, document) in enumerate(pairs):
            for row in (query, document, *self.related.get(query, ())):
                mask[line, columns.get(row, [])] = True
        return mask


def _shares(related: float) -> list[float]:
    """The shares of kinds, in the order of `SHARES`, with another share of related papers."""
    if related == SHARES["related"]:
        return list(SHARES.values())
    rest = (1 - related) / (1 - SHARES["related"])
    return [related if kind == "related" else share * rest for kind, share in SHARES.items()]


def _parts(paper: Paper, kind: str, draw: np.random.Generator) -> tuple[str, str, str]:
    """Two parts of a paper; where it has none of that kind, title and abstract."""
    if kind == "half" and (both := halves(paper.abstract)):
        first, second = both if draw.random() < 0.5 else both[::-1]
        return first, second, kind
    if kind == "sentence" and len(parts := sentences(paper.abstract)) > 2:
        chosen = int(draw.integers(len(parts)))
        rest = " ".join(parts[:chosen] + parts[chosen + 1 :])
        return parts[chosen], f"{paper.title}\n{rest}", kind
    if kind == "span" and (span := _span(paper, draw)):
        return span, paper.text, kind
    return paper.title, paper.abstract, "title"


_WORD = re.compile(r"[^\W_][\w'’/+.-]*[^\W_]|[^\W_]")


def _span(paper: Paper, draw: np.random.Generator) -> str:
    """A few neighbouring words, mostly without the function words between them."""
    source = paper.title if draw.random() < 0.3 else paper.abstract
    words = _WORD.findall(source)
    if draw.random() < 0.7:
        words = [word for word in words if word.lower() not in STOP_WORDS]
    count = int(draw.integers(SPAN_WORDS[0], SPAN_WORDS[1] + 1))
    start = int(draw.integers(max(1, len(words) - count + 1)))
    return " ".join(words[start : start + count])


MASKED_TOKENS = 0.7
"""The share that a masked query loses of the tokens it has in common with its document."""


def mask_query(
    query: Sequence[int], document: Sequence[int], draw: np.random.Generator
) -> list[int] | None:
    """A query without most of the tokens that its document has too.

    What is left says the same in other words.

    Args:
        query: token ids, the first of them BOS, which stays.
        document: token ids.

    Returns:
        The token ids that are left; None if fewer than two would be left besides BOS.
    """
    shared = np.isin(query, document)
    lost = shared & (draw.random(len(query)) < MASKED_TOKENS)
    lost[0] = False
    masked = np.asarray(query)[~lost].tolist()
    return masked if len(masked) > 2 else None


def read_relations(
    paths: Sequence[Path],
    corpus: Corpus,
    fold: int = 0,
    neighbours: int = 0,
    reporter: Reporter = SILENT,
) -> dict[int, list[int]]:
    """Rows of training papers to the rows of the training papers related to them.

    If a is related to b, b is related to a, but for neighbours. A line to the reporter has the
    numbers of the papers and lines of files that are left out.

    Args:
        paths: JSON Lines; each line is `{"id", "relevant": [ids]}` or `{"members": [ids]}`. Or the
            folder of an index, whose citations count.
        fold: which fifth is held out.
        neighbours: of an index, take not what papers cite but so many that are nearest by
            citations.

    Raises:
        InputError: if a line is neither, or an index has no citations.
    """
    rows = {
        paper_id: row for paper_id, row in corpus.ids().items() if not is_held_out(paper_id, fold)
    }
    related: dict[int, set[int]] = defaultdict(set)
    named: set[str] = set()
    in_words = 0
    for path in paths:
        if path.is_dir():
            found = related_rows(graph_of(path), corpus, fold, neighbours, reporter)
            for row, near in found:
                related[row].update(near.tolist())
                for other in [] if neighbours else near.tolist():
                    related[other].add(row)
            continue
        groups, of_words = _groups(path)
        in_words += of_words
        for first, *others in groups:
            named.update((first, *others))
            if first not in rows:
                continue
            for row in [rows[other] for other in others if other in rows]:
                related[rows[first]].add(row)
                related[row].add(rows[first])
    held_out = sum(is_held_out(paper_id, fold) for paper_id in named)
    unknown = len(named - rows.keys()) - held_out
    if held_out or unknown or in_words:
        reporter.notify(
            f"Of {len(named):,} papers in the pairs, {held_out:,} are held out and {unknown:,} are "
            f"not in the corpus; {in_words:,} queries are words: those are left out."
        )
    return {row: sorted(others - {row}) for row, others in related.items() if others - {row}}


def _groups(path: Path) -> tuple[list[list[str]], int]:
    """Lists of identifiers whose first is related to all the others, and how many queries are words
    of no paper."""
    lines = list(numbered_lines(path))
    first = record_of(lines[0][1], lines[0][0]) if lines else None
    if not isinstance(first, dict) or "members" not in first:
        judgements = read_judgements(path)
        groups = [[each.id, *each.relevant] for each in judgements if each.id]
        return groups, len(judgements) - len(groups)
    groups = []
    for place, line in lines:
        members = _members(record_of(line, place), place)
        # The members of a series are related to each other.
        groups += [members[i:] for i in range(len(members) - 1)]
    return groups, 0


def _members(record: object, place: str) -> list[str]:
    """The normalised identifiers of a series."""
    members = record.get("members") if isinstance(record, dict) else None
    if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
        raise InputError(
            f'{place}: not a series of papers: write {{"members": ["2601.16919", "1905.08667"]}}'
        )
    return [normal_id(each, place) for each in members]
