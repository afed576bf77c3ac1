"""Made-up papers, any number of them, and an index of them that is soon built.

There are 20,000 topics. A topic is a dozen sentences of three papers of the sampler, in which half
of the words were exchanged for words of the topic: fifty that are drawn by Zipf's law from 60,000,
those of the sampler and made-up ones that are rarer. A paper is seven of its topic's sentences and
one that names objects that hardly any other paper has. So it has about as many words as a real one,
and a few nearest neighbours, as a real one has. One number always gives the same paper.

    python -m tests.benchmarks.made_up papers.jsonl --papers 326238
"""

import argparse
import random
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, chain, islice
from pathlib import Path

import numpy as np
import orjson

from astrosearch import paths
from astrosearch.cli.console import Terminal
from astrosearch.corpus import sampler
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.static import StaticEncoder
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.weights.locate import with_revision
from astrosearch.index import build as building
from astrosearch.index import lexical_index
from astrosearch.report import SILENT, Reporter
from astrosearch.text.analysis import analyze
from astrosearch.text.sentences import sentences

TOPICS, SENTENCES, TOPIC_WORDS, WORDS = 20_000, 12, 50, 60_000

CACHED = 1 << 19
"""Sentences whose tokens and words are kept."""

_SYLLABLES = "al ba cor de el fa gi hy io ka lu mer no or pha qui ra sto tu ver xi zan".split()


class MadeUpPapers:
    """Papers by their number."""

    def __init__(self) -> None:
        draw = random.Random(0)
        records = [orjson.loads(line) for line in sampler.path().read_bytes().splitlines()]
        known = sorted({word for record in records for word in _words(record["abstract"])})
        draw.shuffle(known)
        words = known[:WORDS] + ["".join(draw.choices(_SYLLABLES, k=4)) for _ in range(WORDS)]
        weights = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
        cut = [sentences(record["abstract"]) for record in records]
        self._topics: list[tuple[str, list[str]]] = []
        for _ in range(TOPICS):
            own = draw.choices(words[:WORDS], cum_weights=weights, k=TOPIC_WORDS)
            chosen = draw.sample(range(len(records)), 3)
            pool = [sentence for row in chosen for sentence in cut[row]]
            self._topics.append(
                (
                    _exchanged(str(records[chosen[0]]["title"]), own, draw),
                    [_exchanged(draw.choice(pool), own, draw) for _ in range(SENTENCES)],
                )
            )
        names = sorted({name.split()[-1] for record in records for name in record["authors"]})
        self._authors = [f"{first}. {name}" for name in names for first in "ABCDEFGHIJKLM"]

    def record(self, number: int) -> dict[str, object]:
        """A paper in the tool's own JSON Lines format."""
        draw = random.Random(number)
        title, pool = draw.choice(self._topics)
        month, serial = divmod(number, 99_999)
        abstract = [
            *draw.sample(pool, 7),
            f"We name HD {draw.randrange(10**6)} and {''.join(draw.choices(_SYLLABLES, k=5))}.",
        ]
        return {
            "id": f"{15 + month // 12:02}{month % 12 + 1:02}.{serial + 1:05}",
            "title": f"{title} {draw.randrange(10**4)}",
            "abstract": " ".join(abstract),
            "authors": draw.sample(self._authors, 3),
            "categories": ["astro-ph.GA"],
            "published": f"20{15 + month // 12}-{month % 12 + 1:02}-{serial % 28 + 1:02}",
        }

    def append(self, path: Path, numbers: Iterable[int]) -> None:
        """Write the papers of some numbers to the end of a file."""
        with path.open("ab") as stream:
            for number in numbers:
                stream.write(orjson.dumps(self.record(number)) + b"\n")

    def question(self, number: int) -> str:
        """The title of a paper, or, of every second one, four words of it."""
        title = str(self.record(number)["title"])
        return title if number % 2 else " ".join(title.split()[:4])


def _exchanged(sentence: str, words: Sequence[str], draw: random.Random) -> str:
    return " ".join(
        draw.choice(words) if word.isalpha() and draw.random() < 0.5 else word
        for word in sentence.split()
    )


def _words(text: str) -> list[str]:
    return [word for word in text.lower().split() if re.fullmatch("[a-z]{3,}", word)]


def _sentences_of(text: str) -> list[str]:
    """Pieces of a text between which nothing that is cut reaches over."""
    return [piece for line in text.split("\n") for piece in re.split(r"(?<=\.) ", line)]


class _SentenceTokens:
    """The tokens of texts, sentence by sentence: those of made-up papers come again and again."""

    def __init__(self, tokens: Tokens) -> None:
        self._of_sentence = lru_cache(CACHED)(lambda sentence: tokens.ids([sentence])[0])

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        cut = [[self._of_sentence(piece) for piece in _sentences_of(text)] for text in texts]
        # Each begins with the token that begins a text.
        return [list(chain(pieces[0], *(ids[1:] for ids in pieces[1:]))) for pieces in cut]


def _load(spec: EncoderSpec) -> Encoder:
    encoder = load_encoder(spec)
    assert isinstance(encoder, StaticEncoder)
    encoder._tokenizer = _SentenceTokens(encoder._tokenizer)  # type: ignore[assignment]
    return encoder


def _terms_by_sentence(terms: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    of_sentence = lru_cache(CACHED)(lambda sentence: analyze(sentence))

    def by_sentence(text: str) -> list[str]:
        cut = [of_sentence(piece) for piece in _sentences_of(text)]
        return list(chain(*(piece.terms for piece in cut), *(piece.compounds for piece in cut)))

    return by_sentence


def build_index(folder: Path, corpus: Path, reporter: Reporter = SILENT) -> None:
    """Build an index of made-up papers with the default encoder, as `astrosearch index` does.

    Sentences that were met before are neither cut into tokens nor into words again. The index is
    the same without that, which is tested with some of the papers, and takes longer.
    """
    spec = with_revision(encoder_spec("astro-embed"), reporter)
    with corpus.open() as stream:
        abstracts = [orjson.loads(line)["abstract"] for line in islice(stream, 200)]
    slowly, soon = load_encoder(spec).encode_counted(abstracts), _load(spec).encode_counted(abstracts)
    assert np.array_equal(slowly.vectors, soon.vectors)
    terms = lexical_index._terms
    by_sentence = _terms_by_sentence(terms)
    assert list(map(terms, abstracts)) == list(map(by_sentence, abstracts))
    lexical_index._terms = by_sentence
    try:
        building.build(folder, [corpus], Selection(), spec, _load, reporter=reporter)
    finally:
        lexical_index._terms = terms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--papers", type=int, default=326_238)
    parser.add_argument("--index", help="Also build an index of this name.")
    arguments = parser.parse_args()
    if not arguments.file.exists():
        MadeUpPapers().append(arguments.file, range(arguments.papers))
    if arguments.index:
        build_index(paths.index_folder(arguments.index), arguments.file, Terminal())


if __name__ == "__main__":
    main()
