"""Sentences of the papers that a question finds, and what is known of each, as named columns."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.base import Encoder, LateInteraction
from astrosearch.encoders.vectors import Vectors
from astrosearch.search.hits import Hit
from astrosearch.search.late_interaction import compare
from astrosearch.search.paper_index import EncodedQuery, SearchedIndex
from astrosearch.search.signals import SignalTable
from astrosearch.text.analysis import STOP_WORDS, analyze, stem
from astrosearch.text.quantities import mentions
from astrosearch.text.sentences import sentence_spans
from astrosearch.text.units import Dimension, dimension_of

MOST_SENTENCES = 60
"""Of one abstract that are looked at."""

FEWEST_WORDS = 4
"""A shorter sentence is a heading, such as `Results.`"""

LONGEST = 600
"""Characters of a sentence; a longer one, a list or several that nothing parts, is not quoted: a
piece of it would not be a sentence. One of 1,400 sentences on arXiv is longer."""

K1, B = 1.2, 0.75
"""Of BM25 (Robertson and Zaragoza 2009, doi:10.1561/1500000019)."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit's abstract."""

    hit: Hit
    start: int
    end: int
    place: int
    """Number in its abstract, from 0."""
    of: int
    """How many sentences the abstract has."""

    @property
    def text(self) -> str:
        return self.hit.paper.abstract[self.start : self.end]


@dataclass(frozen=True)
class SentenceTable:
    """The (n,) sentences of a question's papers, with their signals."""

    sentences: list[Sentence]
    signals: SignalTable
    vectors: Vectors | None
    """(n, dimension) float32 unit rows; None if the encoder was not asked."""
    words: list[frozenset[str]]
    """The stems of each sentence's telling words."""

    def likeness(self) -> NDArray[np.float64]:
        """(n, n) how much two sentences say the same, up to 1: the mean of the cosine of their
        vectors and the share of words that they have in common."""
        count = len(self.sentences)
        shared = np.eye(count)
        for row, ours in enumerate(self.words):
            for column in range(row):
                theirs = self.words[column]
                alike = len(ours & theirs) / max(1, min(len(ours), len(theirs)))
                shared[row, column] = shared[column, row] = alike
        if self.vectors is None:
            return shared
        return (shared + (self.vectors @ self.vectors.T).astype(np.float64)) / 2


def sentences_of(hits: Sequence[Hit]) -> list[Sentence]:
    """The sentences of the hits' abstracts, in the order of the hits."""
    sentences = []
    for hit in hits:
        spans = [
            (start, end)
            for start, end in sentence_spans(hit.paper.abstract)
            if end - start <= LONGEST and len(hit.paper.abstract[start:end].split()) >= FEWEST_WORDS
        ][:MOST_SENTENCES]
        sentences += [
            Sentence(hit, start, end, place, len(spans)) for place, (start, end) in enumerate(spans)
        ]
    return sentences


def sentence_table(
    papers: SearchedIndex, encoder: Encoder | None, query: EncodedQuery, hits: Sequence[Hit]
) -> SentenceTable:
    """What is known of each sentence of a question's hits.

    Tokens and vectors are compared if the index's encoder compares tokens: others would take
    seconds for so many sentences, or money.
    """
    question = query.words or ""
    sentences = sentences_of(hits)
    terms = [[t for t in analyze(each.text).terms if t not in _STOPS] for each in sentences]
    columns = {"bm25": _bm25(papers, question, terms), **_of_papers(sentences)}
    columns |= _of_form(question, sentences)
    vectors = None
    if isinstance(encoder, LateInteraction) and query.vector is not None and sentences:
        encoded = encoder.encode_counted([each.text for each in sentences])
        vectors = encoded.vectors
        tokens = compare(encoder, query.tokens[0], encoder.weigh(encoded.bags or []))
        columns["cosine"] = np.asarray(vectors @ query.vector, dtype=np.float64)
        columns["recall"] = tokens.recall
        columns["missed"] = tokens.missed
        columns["precision"] = tokens.precision
        columns["exact"] = tokens.exact
        columns["support"] = tokens.support[:, 1]
    table = SignalTable([each.hit.paper.id for each in sentences], columns)
    return SentenceTable(sentences, table, vectors, [frozenset(each) for each in terms])


_STOPS = STOP_WORDS | {stem(word) for word in STOP_WORDS}


def term_weights(papers: SearchedIndex, text: str) -> dict[str, float]:
    """How rare each telling word of a text is in the index: its inverse document frequency."""
    weights = {}
    for term in {term for term in analyze(text).terms if term not in _STOPS}:
        having = papers.document_frequency(term)
        weights[term] = log(1 + (len(papers) - having + 0.5) / (having + 0.5))
    return weights


def _bm25(
    papers: SearchedIndex, question: str, terms: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """(n,) BM25 of the question's words in each sentence, with the frequencies of the index."""
    weights = term_weights(papers, question)
    mean = max(1.0, float(np.mean([len(each) for each in terms]))) if terms else 1.0
    scores = np.zeros(len(terms))
    for place, each in enumerate(terms):
        counts = Counter(term for term in each if term in weights)
        norm = K1 * (1 - B + B * len(each) / mean)
        scores[place] = sum(
            weights[term] * count * (K1 + 1) / (count + norm) for term, count in counts.items()
        )
    return scores


def match_odds(hit: Hit) -> float:
    """The logarithm of the odds that a paper is relevant, by a score that is such a chance."""
    chance = min(max(hit.score, 0.001), 0.999)
    return log(chance / (1 - chance))


def _of_papers(sentences: Sequence[Sentence]) -> dict[str, NDArray[np.float64]]:
    return {
        "paper_match": np.array([match_odds(each.hit) for each in sentences]),
        "paper_rank": np.log([each.hit.rank for each in sentences]),
    }


_QUANTITIES = {
    r"how (?:far|distant)|distances?": ("pc", "ly"),
    r"how (?:old|long)|ages?|periods?|lifetimes?|time ?scales?|durations?": ("s",),
    r"how (?:massive|heavy)|weighs?|(?:sub)?mass(?:es)?": ("Msun", "Mearth", "Mjup", "kg"),
    r"how (?:fast|quickly)|velocit(?:y|ies)|speeds?": ("km s-1",),
    r"how (?:hot|cold|warm)|temperatures?": ("K",),
    r"how (?:large|big|wide|thick)|radi(?:us|i)|sizes?|diameters?": (
        *("pc", "km", "Rsun", "Rearth", "Rjup", "arcsec"),
    ),
    r"hubble constant|expansion rate|h_?0": ("km s-1 Mpc-1",),
    r"how magneti[sz]ed|magnetic fields?": ("G",),
    r"how luminous|luminosit(?:y|ies)": ("Lsun", "erg s-1", "W"),
    r"redshifts?|how early|when did": ("z",),
}
"""Words that ask for a quantity, and units of its dimensions."""


def dimensions_asked(question: str) -> set[Dimension]:
    """The dimensions of the quantities that a question asks for.

    >>> dimensions_asked("how fast are the winds?")
    {(('length', 1), ('time', -1))}
    """
    return {
        dimension_of(unit)[0]
        for words, units in _QUANTITIES.items()
        if re.search(rf"\b(?:{words})\b", question, re.IGNORECASE)
        for unit in units
    }


_FINDS = re.compile(
    r"\b(?:find|found|finds|show|shows|shown|conclude|concludes|suggests?|suggesting|indicates?|"
    r"indicating|implies|imply|implying|results?|demonstrates?|reveals?|revealed|detect(?:ed)?|"
    r"measured?|derived?|obtain(?:ed)?|estimated?|constrain(?:s|ed)?|consistent|therefore|thus|"
    r"evidence|rule out|ruled out|confirm(?:s|ed)?|favou?rs?|can(?:not)? be explained|"
    r"significant)\b",
    re.IGNORECASE,
)
_INTRODUCES = re.compile(
    r"\b(?:we (?:present|study|investigate|describe|report on|examine|explore|discuss|review|"
    r"analy[sz]e|introduce|develop|consider|use|propose)|in this (?:paper|work|study|letter)|"
    r"this (?:paper|work|study)|aims?|is investigated|are investigated|is presented)\b",
    re.IGNORECASE,
)
_MOTIVATES = re.compile(
    r"\b(?:remains?|poorly|unclear|unknown|open question|puzzle|long-standing|challeng\w+|crucial|"
    r"important|key to|little is known|not (?:yet|well) understood|debated?|traditionally|"
    r"will be|future|upcoming|is expected|are expected|has been|have been)\b",
    re.IGNORECASE,
)


def _of_form(question: str, sentences: Sequence[Sentence]) -> dict[str, NDArray[np.float64]]:
    """What a sentence is by its words and its place: a finding, a motivation, a number."""
    texts = [each.text for each in sentences]
    numbers = [[each for each in mentions(text) if each.kind == "number"] for text in texts]
    asked = dimensions_asked(question)
    return {
        "place": np.array([each.place / max(1, each.of - 1) for each in sentences]),
        "is_first": np.array([float(each.place == 0) for each in sentences]),
        "finds": _matching(_FINDS, texts),
        "introduces": _matching(_INTRODUCES, texts),
        "motivates": _matching(_MOTIVATES, texts),
        "has_number": np.array([float(any(not m.counts for m in each)) for each in numbers]),
        "asked_number": np.array(
            [float(any(m.dimension in asked for m in each)) for each in numbers]
        ),
        "length": np.log([len(text.split()) for text in texts]) if texts else np.zeros(0),
    }


def _matching(pattern: re.Pattern[str], texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([float(bool(pattern.search(text))) for text in texts])
