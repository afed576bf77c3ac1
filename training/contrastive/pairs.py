"""Pairs of texts that belong together, which every corpus has, for a contrastive stage.

title       title → abstract
half        one half of an abstract → the other half
sentence    a sentence → title and abstract without it
span        a few words of title or abstract, as one would type them → title and abstract
related     title and abstract → those of a paper it cites, or of the same series, where given
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.corpus.store import Corpus
from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import read_judgements
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper, parse_id
from astrosearch.text.analysis import STOP_WORDS
from astrosearch.text.sentences import halves, sentences

SHARES = {"title": 0.35, "half": 0.25, "sentence": 0.15, "span": 0.2, "related": 0.05}
"""How often each kind is drawn; of a paper without relations the last goes to the first."""

SPAN_WORDS = (2, 7)
"""Fewest and most words of a span: short queries have so many."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together."""

    query: str
    document: str
    rows: tuple[int, int]
    """Of the papers they are from: two only for related papers."""
    kind: str


class Views:
    """Pairs drawn from training papers: pair `i` is the same whenever it is asked for.

    Papers come in an order of their own in each round, so a batch holds no paper twice as long as
    it does not reach from one round into the next.
    """

    def __init__(
        self,
        corpus: Corpus,
        related: Mapping[int, Sequence[int]],
        seed: int,
        *,
        held_out: bool = False,
        fold: int = 0,
    ) -> None:
        """
        Args:
            corpus: papers; those that are held out are never drawn.
            related: rows of papers to rows of papers related to them.
            held_out: draw the held-out papers, and no other: to look at, not to train on.
            fold: which fifth is held out.
        """
        self.corpus = corpus
        self.related = related
        self._seed = seed
        self.rows = np.array(
            [row for row, paper in enumerate(corpus) if is_held_out(paper.id, fold) == held_out],
            dtype=np.int64,
        )
        self._round: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """Pairs in a round: one a training paper."""
        return len(self.rows)

    def pair(self, number: int) -> Pair:
        """Pair `number`, from 0 on without end."""
        turn, place = divmod(number, len(self.rows))
        if self._round is None or self._round[0] != turn:
            order = np.random.default_rng([self._seed, turn]).permutation(self.rows)
            self._round = (turn, order)
        row = int(self._round[1][place])
        (paper,) = self.corpus.papers([row])
        draw = np.random.default_rng([self._seed, 1, number])
        kind = str(draw.choice(list(SHARES), p=list(SHARES.values())))
        if kind == "related" and row in self.related:
            other = int(draw.choice(self.related[row]))
            (cited,) = self.corpus.papers([other])
            return Pair(paper.text, cited.text, (row, other), kind)
        query, document, kind = _parts(paper, kind, draw)
        return Pair(query, document, (row, row), kind)

    def are_related(
        self, pairs: Sequence[tuple[int, int]], documents: Sequence[int]
    ) -> NDArray[np.bool_]:
        """(pairs, documents) bool: whether a document's paper is one of a pair's, or related to
        the asking one, and so no fair negative.

        Args:
            pairs: rows of each pair's papers.
            documents: rows of the documents' papers.
        """
        place: dict[int, list[int]] = defaultdict(list)
        for column, row in enumerate(documents):
            place[row].append(column)
        found = np.zeros((len(pairs), len(documents)), dtype=bool)
        for line, (asking, answering) in enumerate(pairs):
            for row in (asking, answering, *self.related.get(asking, ())):
                found[line, place.get(row, [])] = True
        return found


def _parts(paper: Paper, kind: str, draw: np.random.Generator) -> tuple[str, str, str]:
    """Two parts of a paper; where it has none of that kind, title and abstract."""
    if kind == "half" and (both := halves(paper.abstract)):
        first, second = both if draw.random() < 0.5 else both[::-1]
        return first, second, kind
    if kind == "sentence" and len(found := sentences(paper.abstract)) > 2:
        chosen = int(draw.integers(len(found)))
        rest = " ".join(found[:chosen] + found[chosen + 1 :])
        return found[chosen], f"{paper.title}\n{rest}", kind
    if kind == "span" and (span := _span(paper, draw)):
        return span, paper.text, kind
    return paper.title, paper.abstract, "title"


_WORD = re.compile(r"[^\W_][\w'’/+.-]*[^\W_]|[^\W_]")


def _span(paper: Paper, draw: np.random.Generator) -> str:
    """A few neighbouring words, mostly without the function words between them."""
    source = paper.title if draw.random() < 0.3 else paper.abstract
    found = _WORD.findall(source)
    if draw.random() < 0.7:
        found = [word for word in found if word.lower() not in STOP_WORDS]
    count = int(draw.integers(SPAN_WORDS[0], SPAN_WORDS[1] + 1))
    start = int(draw.integers(max(1, len(found) - count + 1)))
    return " ".join(found[start : start + count])


MASKED_TOKENS = 0.7
"""Of the tokens that a masked query shares with its document, the share it loses."""


def masked(
    query: Sequence[int], document: Sequence[int], draw: np.random.Generator
) -> list[int] | None:
    """A query without most of the tokens that its document has too, so that what is left says the
    same in other words; None if less than two would be left.

    Args:
        query: token ids, the first BOS, which stays.
        document: token ids.
    """
    shared = np.isin(query, document)
    lost = shared & (draw.random(len(query)) < MASKED_TOKENS)
    lost[0] = False
    kept = np.asarray(query)[~lost].tolist()
    return kept if len(kept) > 2 else None


def read_relations(paths: Sequence[Path], corpus: Corpus, fold: int = 0) -> dict[int, list[int]]:
    """Rows of training papers to the rows of training papers related to them, both ways.

    Args:
        paths: JSON Lines, `{"id", "relevant": [ids]}` or `{"members": [ids]}` a line.
        fold: which fifth is held out.

    Raises:
        InputError: if a line is neither.
    """
    rows = {paper.id: row for row, paper in enumerate(corpus) if not is_held_out(paper.id, fold)}
    found: dict[int, set[int]] = defaultdict(set)
    for path in paths:
        for group in _groups(path):
            known = [rows[one] for one in group if one in rows]
            # The first is related to all the others; members of a series to each other.
            for one in known[1:] if group[0] in rows else ():
                found[known[0]].add(one)
                found[one].add(known[0])
    return {row: sorted(others - {row}) for row, others in found.items() if others - {row}}


def _groups(path: Path) -> list[list[str]]:
    with path.open("rb") as stream:
        first = stream.readline()
    try:
        is_series = "members" in orjson.loads(first or b"{}")
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}:1: not JSON ({error})") from None
    if not is_series:
        return [[one.id, *one.relevant] for one in read_judgements(path) if one.id]
    groups = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            members = [parse_id(one).id for one in orjson.loads(line)["members"]]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}:{number}: no series: {error}") from None
        groups += [members[i:] for i in range(len(members) - 1)]
    return groups
