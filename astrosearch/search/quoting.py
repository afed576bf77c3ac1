"""Answers in quotes: the sentences of the best papers that answer a question, and say different
things.

    question → hits → sentences → signals → scores → a few that differ → groups

What makes a sentence an answer was learnt from sentences that were judged (`rankers/answers.json`,
which `train answers` makes), and so was the chance that the papers answer at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
import orjson
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder
from astrosearch.papers import Paper
from astrosearch.search.hits import Answer, Hit
from astrosearch.search.paper_index import EncodedQuery, SearchedIndex
from astrosearch.search.quotes import Quote, QuotedAnswer, QuoteGroup, numbered
from astrosearch.search.ranker import Weights, read_weights
from astrosearch.search.sentence_signals import (
    Sentence,
    SentenceTable,
    dimensions_asked,
    match_odds,
    sentence_table,
    term_weights,
)
from astrosearch.text.analysis import STOP_WORDS, analyze
from astrosearch.text.quantities import Mention, mentions, plain_text

PAPERS = 12
"""Hits whose sentences are looked at."""

MOST_OF_A_PAPER = 2
"""Sentences of one paper that are quoted."""

NOVELTY = 2.0
"""By how much the score of a sentence falls that says all that a chosen one says (maximal marginal
relevance: Carbonell and Goldstein 1998, doi:10.1145/290941.291025)."""

ALIKE = 0.72
"""Likeness from which a sentence of another paper is not quoted beside a chosen one: it is named
there."""

FAR_BELOW = 4.0
"""How much lower than the best a sentence may score to be quoted."""

AGE = 8
"""Years without a quote that part older ones from newer ones."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was learnt of sentences that answer."""

    weights: Weights
    """Of a sentence, by its signals."""
    answered: dict[str, tuple[float, float, float]]
    """Of the chance that the papers answer: mean, deviation and weight of each of its signals."""
    bias: float
    silent: float
    """Chance below which nothing is quoted."""
    unsure: float
    """Chance below which an answer is marked as unsure."""

    def chance(self, signals: dict[str, float]) -> float:
        """The chance that the papers answer; a signal that is not known counts as its mean."""
        total = self.bias
        for name, (mean, deviation, weight) in self.answered.items():
            if name in signals:
                total += weight * (signals[name] - mean) / deviation
        return float(1 / (1 + np.exp(-total)))


@cache
def shipped_knowledge() -> Knowledge:
    """What `train answers` made, from `rankers/answers.json`."""
    return read_knowledge(files("astrosearch.search").joinpath("rankers/answers.json").read_bytes())


def read_knowledge(text: bytes) -> Knowledge:
    """What `train answers` wrote into a file."""
    record = orjson.loads(text)
    answered = {
        each["signal"]: (each["mean"], each["deviation"], each["weight"])
        for each in record["answered"]["signals"]
    }
    return Knowledge(
        read_weights(text),
        answered,
        record["answered"]["bias"],
        record["answered"]["silent"],
        record["answered"]["unsure"],
    )


def quoted_answer(
    papers: SearchedIndex,
    encoder: Encoder | None,
    queries: Sequence[EncodedQuery],
    answers: Sequence[Answer],
    k: int,
    *,
    question: str,
) -> QuotedAnswer:
    """The `k` sentences that answer a question best, or fewer that say different things.

    Args:
        queries: the question in all its forms; behind it a part that is new, if there is one.
        answers: the papers that each of them finds.
    """
    shares = _shares(papers, queries)
    hits = best_of_all([answer.hits for answer in answers], shares)
    found = replace(answers[0], hits=hits[0])
    knowledge = shipped_knowledge()
    tables = [
        sentence_table(papers, encoder, query, theirs)
        for query, theirs in zip(queries, hits, strict=True)
    ]
    table = tables[0]
    if not table.sentences:
        return QuotedAnswer(
            *(question, (), (), 0.0),
            has_papers=bool(found.hits),
            notes=(*found.notes, SILENT),
            meant=found.meant,
        )
    each_scores = [knowledge.weights.scores(each.signals) for each in tables]
    scores = np.average(each_scores, axis=0, weights=shares)
    chance = max(
        knowledge.chance(answer_signals(*each))
        for each in zip(hits, tables, each_scores, strict=True)
    )
    is_unsure = chance < knowledge.unsure
    if chance < knowledge.silent or (is_unsure and found.is_weak):
        notes = (*found.notes, SILENT)
        return QuotedAnswer(question, (), (), chance, notes=notes, meant=found.meant)
    chances = knowledge.weights.chances(scores, table.signals)
    quotes = _quotes(table, scores, chances, k)
    groups = _grouped(quotes, queries[0].words or "")
    numbered_groups, sources = _numbered(groups, found.hits)
    is_unsure = is_unsure or found.is_weak
    notes = (*found.notes, UNSURE) if is_unsure else found.notes
    return QuotedAnswer(
        *(question, numbered_groups, sources, chance, is_unsure), notes=notes, meant=found.meant
    )


MOST = 0.5
"""Share that the new part of a question counts at most."""


def _shares(papers: SearchedIndex, queries: Sequence[EncodedQuery]) -> list[float]:
    """How much each query counts, 1 in all. A part counts as much as its words are of the weight of
    the whole: `and its mass?` says little by itself."""
    if len(queries) == 1:
        return [1.0]
    whole, part = (sum(term_weights(papers, query.words or "").values()) for query in queries)
    share = min(MOST, part / whole) if whole else MOST
    return [1 - share, share]


def best_of_all(found: Sequence[Sequence[Hit]], shares: Sequence[float]) -> list[list[Hit]]:
    """The best papers of several searches as hits of each, in one order and with one rank: that of
    the mean of their ranks. A paper that a search does not have is as bad as its last.

    Args:
        shares: how much each search counts.
    """
    if len(found) == 1:
        return [list(found[0])]
    papers = {hit.paper.id: hit for hits in found for hit in hits[:PAPERS]}
    by_id = [{hit.paper.id: hit for hit in hits} for hits in found]
    last = [(len(hits) + 1, min((hit.score for hit in hits), default=0.0)) for hits in found]

    def mean_rank(paper_id: str) -> float:
        return sum(
            share * (theirs[paper_id].rank if paper_id in theirs else worst)
            for share, theirs, (worst, _) in zip(shares, by_id, last, strict=True)
        )

    order = sorted(papers, key=mean_rank)
    return [
        [
            replace(theirs.get(paper_id) or replace(papers[paper_id], score=score), rank=rank)
            for rank, paper_id in enumerate(order, start=1)
        ]
        for theirs, (_, score) in zip(by_id, last, strict=True)
    ]


SILENT = "No abstract is likely to answer this"
UNSURE = "Unsure: these sentences are the nearest, and may not answer the question"


def answer_signals(
    hits: Sequence[Hit], table: SentenceTable, scores: NDArray[np.float64]
) -> dict[str, float]:
    """What tells whether papers answer a question, and means the same in any index: how good the
    best sentence is, how well the best paper matches, and how far it leads the others, which are
    the neighbours that would be found without it, too. What is not known is left out."""
    signals = {"score": float(scores.max())}
    if hits[0].token_match is not None:  # otherwise the match is not a chance
        best, *others = sorted(map(match_odds, hits), reverse=True)
        signals["match"] = best
        if others:
            signals["lead"] = best - float(np.mean(others))
    return signals


# --- a few sentences that say different things ---


def _quotes(
    table: SentenceTable, scores: NDArray[np.float64], chances: NDArray[np.float64], k: int
) -> list[Quote]:
    """Sentences in the order in which they were chosen, without numbers of sources."""
    likeness = table.likeness()
    chosen = choose(scores, likeness, [each.hit.rank for each in table.sentences], k)
    alike = _alike(table, scores, likeness, chosen)
    return [
        _quote(table.sentences[place], float(chances[place]), alike.get(place, ()))
        for place in chosen
    ]


def choose(
    scores: NDArray[np.float64], likeness: NDArray[np.float64], papers: Sequence[int], k: int
) -> list[int]:
    """The places of at most `k` sentences that score high and say different things, in the order in
    which they are chosen.

    Args:
        scores: (n,)
        likeness: (n, n) up to 1.
        papers: of each sentence, whose it is.
    """
    chosen: list[int] = []
    nearest = np.zeros(len(scores))
    left = scores >= scores.max() - FAR_BELOW
    while len(chosen) < k and left.any():
        place = int(np.argmax(np.where(left, scores - NOVELTY * nearest, -np.inf)))
        chosen.append(place)
        left[place] = False
        nearest = np.maximum(nearest, likeness[place])
        left &= likeness[place] < ALIKE
        if sum(papers[one] == papers[place] for one in chosen) >= MOST_OF_A_PAPER:
            left &= np.array(papers) != papers[place]
    return chosen


def _alike(
    table: SentenceTable,
    scores: NDArray[np.float64],
    likeness: NDArray[np.float64],
    chosen: Sequence[int],
) -> dict[int, tuple[int, ...]]:
    """For places that were chosen, the ranks of the other papers with a sentence that is left out
    because it is like this one."""
    named: dict[int, list[int]] = {}
    ranks = [each.hit.rank for each in table.sentences]
    for place in np.flatnonzero(scores >= scores.max() - FAR_BELOW).tolist():
        if place in chosen:
            continue
        nearest = max(chosen, key=lambda other: likeness[place, other])
        if likeness[place, nearest] >= ALIKE and ranks[place] != ranks[nearest]:
            named.setdefault(nearest, []).append(ranks[place])
    return {place: tuple(dict.fromkeys(others)) for place, others in named.items()}


def _quote(sentence: Sentence, chance: float, alike: tuple[int, ...]) -> Quote:
    return Quote(
        sentence.text,
        sentence.start,
        sentence.end,
        sentence.hit.paper,
        sentence.hit.rank,
        chance,
        alike,
    )


# --- groups ---

NO_SUBJECT = frozenset(("", "%", "z", "sigma"))
"""Units of numbers that say too little of what they measure."""

NEAR = 8
"""Words around a number that tell what it measures."""


def _grouped(quotes: Sequence[Quote], question: str) -> list[QuoteGroup]:
    """Quotes by what they say: values of one quantity, then older and newer ones, where they lie
    apart; else all in one group."""
    values, rest = _values(quotes, question)
    groups = [*values, *_by_age(rest)]
    best = {id(group): max(quote.chance for quote in group.quotes) for group in groups}
    groups.sort(key=lambda group: -best[id(group)])
    return groups


def _values(quotes: Sequence[Quote], question: str) -> tuple[list[QuoteGroup], list[Quote]]:
    """Groups of quotes of different papers that give values of one quantity: numbers in the same
    unit, which the question asks for or has a word near to. And the quotes that are left."""
    by_unit: dict[str, set[int]] = {}
    asked, words = dimensions_asked(question), _telling(question)
    for place, quote in enumerate(quotes):
        for mention in mentions(quote.text):
            unit = mention.unit or mention.range_unit
            if mention.kind != "number" or unit in NO_SUBJECT:
                continue
            if mention.dimension in asked or _telling(_around(quote.text, mention)) & words:
                by_unit.setdefault(unit, set()).add(place)
    groups: list[QuoteGroup] = []
    taken: set[int] = set()
    for unit, places in sorted(by_unit.items(), key=lambda each: -len(each[1])):
        free = sorted(places - taken)
        if len({quotes[place].paper.id for place in free}) < 2:
            continue
        taken.update(free)
        groups.append(QuoteGroup(f"Values in {unit}", tuple(quotes[place] for place in free)))
    return groups, [quote for place, quote in enumerate(quotes) if place not in taken]


def _around(text: str, mention: Mention) -> str:
    before = _words(text[: mention.start])[-NEAR:]
    return " ".join([*before, *_words(text[mention.end :])[:NEAR]])


def _words(text: str) -> list[str]:
    """The words of a text, without the signs that stand alone in TeX."""
    return [word for word in plain_text(text)[0].split() if any(map(str.isalnum, word))]


def _telling(text: str) -> frozenset[str]:
    return frozenset(
        term
        for term in analyze(text).terms
        if term not in STOP_WORDS and re.search(r"[^\W\d]{2}", term)
    )


def _by_age(quotes: Sequence[Quote]) -> list[QuoteGroup]:
    """Older and newer quotes, if years lie between them; the order in each group stays."""
    years = sorted({quote.paper.published.year for quote in quotes})
    gaps = [(later - earlier, earlier) for earlier, later in pairwise(years)]
    widest, last = max(gaps, default=(0, 0))
    if widest < AGE:
        return [QuoteGroup("", tuple(quotes))] if quotes else []
    older = tuple(quote for quote in quotes if quote.paper.published.year <= last)
    newer = tuple(quote for quote in quotes if quote.paper.published.year > last)
    return [QuoteGroup(f"Since {last + widest}", newer), QuoteGroup(f"Until {last}", older)]


def _numbered(
    groups: Sequence[QuoteGroup], hits: Sequence[Hit]
) -> tuple[tuple[QuoteGroup, ...], tuple[Paper, ...]]:
    """The groups with the numbers of their sources in the order of reading, and the sources; those
    that are alike alone come behind."""
    quotes = [quote for group in groups for quote in group.quotes]
    number_of = numbered(quotes)
    paper_of = {hit.rank: hit.paper for hit in hits}
    for quote in quotes:
        for rank in quote.alike:
            number_of.setdefault(paper_of[rank].id, len(number_of) + 1)
    papers = {hit.paper.id: hit.paper for hit in hits}
    numbered_groups = tuple(
        replace(
            group,
            quotes=tuple(
                replace(
                    quote,
                    source=number_of[quote.paper.id],
                    alike=tuple(sorted({number_of[paper_of[rank].id] for rank in quote.alike})),
                )
                for quote in group.quotes
            ),
        )
        for group in groups
    )
    return numbered_groups, tuple(papers[paper_id] for paper_id in number_of)
