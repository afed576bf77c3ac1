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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, lru_cache
from itertools import accumulate, chain, islice
from pathlib import Path

import numpy as np
import orjson

from astrosearch import paths
from astrosearch.cli.console import Terminal
from astrosearch.corpus import sampler
from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.static import StaticEncoder
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.vectors import unit_rows
from astrosearch.encoders.weights.locate import with_revision
from astrosearch.index import build as building
from astrosearch.index import lexical_index, vector_index
from astrosearch.index.folder import locked, partial_folder
from astrosearch.index.manifest import AnnConfig
from astrosearch.index.reader import Index
from astrosearch.index.token_store import TokenWriter
from astrosearch.index.vectors import new_vectors, release
from astrosearch.report import SILENT, Reporter
from astrosearch.text.analysis import analyze
from astrosearch.text.sentences import sentences

TOPICS, SENTENCES, TOPIC_WORDS, WORDS = 20_000, 12, 50, 60_000

NOISE, BLOCK = 0.4, 16_384
"""Length of the noise that is added to a unit vector; rows in memory at a time."""

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
        self._words, self._weights = words[:WORDS], weights
        self._titles = [str(record["title"]) for record in records]
        self._sentences = [sentences(record["abstract"]) for record in records]
        self._topic = cache(self._new_topic)
        names = sorted({name.split()[-1] for record in records for name in record["authors"]})
        self._authors = [f"{first}. {name}" for name in names for first in "ABCDEFGHIJKLM"]

    def _new_topic(self, topic: int) -> tuple[str, list[str]]:
        """The title and the sentences of a topic."""
        draw = random.Random(f"topic {topic}")
        own = draw.choices(self._words, cum_weights=self._weights, k=TOPIC_WORDS)
        rows = draw.sample(range(len(self._titles)), 3)
        pool = [sentence for row in rows for sentence in self._sentences[row]]
        chosen = [_exchanged(draw.choice(pool), own, draw) for _ in range(SENTENCES)]
        return _exchanged(self._titles[rows[0]], own, draw), chosen

    def topic(self, number: int) -> int:
        """The number of a paper's topic."""
        return random.Random(number).randrange(TOPICS)

    def record(self, number: int) -> dict[str, object]:
        """A paper in the tool's own JSON Lines format."""
        draw = random.Random(number)
        title, pool = self._topic(draw.randrange(TOPICS))
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
        """The title of a paper, or, of every second one, four words of it; without the signs that a
        query gives a meaning."""
        title = re.sub('["?*~]', "", str(self.record(number)["title"]))
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


@contextmanager
def _words_by_sentence() -> Iterator[None]:
    """The words of texts, too, while the block runs."""
    terms = lexical_index._terms
    of_sentence = lru_cache(CACHED)(analyze)

    def by_sentence(text: str) -> list[str]:
        cut = [of_sentence(piece) for piece in _sentences_of(text)]
        return list(chain(*(piece.terms for piece in cut), *(piece.compounds for piece in cut)))

    abstract = str(MadeUpPapers().record(0)["abstract"])
    assert terms(abstract) == by_sentence(abstract)
    lexical_index._terms = by_sentence
    try:
        yield
    finally:
        lexical_index._terms = terms


def build_index(folder: Path, corpus: Path, reporter: Reporter = SILENT) -> None:
    """Build an index of made-up papers with the default encoder, as `astrosearch index` does.

    Sentences that were met before are neither cut into tokens nor into words again. Without that it
    takes longer, and nearly all vectors are the same, which is tested with some of the papers: a
    few texts are cut otherwise.
    """
    spec = with_revision(encoder_spec("astro-embed"), reporter)
    with corpus.open() as stream:
        abstracts = [orjson.loads(line)["abstract"] for line in islice(stream, 200)]
    slowly, soon = (
        load_encoder(spec).encode_counted(abstracts),
        _load(spec).encode_counted(abstracts),
    )
    assert np.array_equal(slowly.vectors, soon.vectors)
    with _words_by_sentence():
        building.build(folder, [corpus], Selection(), spec, _load, reporter=reporter)


def build_large_index(folder: Path, corpus: Path, small: Path, reporter: Reporter = SILENT) -> None:
    """Build an index of millions of made-up papers, of which the first are those of a small one.

    A later paper is not encoded: it has the vector of a paper of the small index with the same
    topic, moved by noise as far as two papers of a topic are from each other, and its tokens.
    Words, the FAISS index and all else are made as `astrosearch index` makes them.
    """
    papers, draw = MadeUpPapers(), np.random.default_rng(0)
    with Index(small) as index, locked(folder), partial_folder(folder) as partial:
        work = partial / building.SEGMENT
        work.mkdir()
        selection = Selection()
        intake = import_papers([corpus], selection, work / "papers.sqlite", work / "rejected.jsonl")
        with closing(Corpus(work / "papers.sqlite")) as table:
            count, known = len(table), len(index)
            topics = np.array([papers.topic(number) for number in range(count)])
            order = np.argsort(topics[:known], kind="stable")
            firsts = np.searchsorted(topics[order], np.arange(TOPICS + 1))
            width = np.diff(firsts)[topics[known:]]
            like = order[firsts[topics[known:]] + draw.integers(0, width)]
            like = np.concatenate([np.arange(known), like])
            vectors = new_vectors(work / "vectors.npy", (count, index.manifest.dimension))
            with closing(TokenWriter(work, count)) as tokens:
                for start in range(0, count, BLOCK):
                    rows = np.arange(start, min(start + BLOCK, count))
                    block = unit_rows(index.vectors[like[rows]])
                    noise = draw.standard_normal(size=block.shape, dtype=np.float32)
                    noise *= (rows >= known)[:, None] * (NOISE / block.shape[1] ** 0.5)
                    vectors[rows] = unit_rows(block + noise)
                    release(vectors)
                    old = rows[rows < known]
                    tokens.add(old.tolist(), index.tokens.bags(old))
                tokens.copy(np.arange(known, count), like[known:])
                tokens.finish()
            vectors.flush()
            record = building._corpus_record(
                [corpus], selection, table, intake, building.file_states([corpus])
            )
            with _words_by_sentence():
                building._finish(
                    folder,
                    partial,
                    table,
                    index.manifest.encoder,
                    record,
                    AnnConfig(vector_index.AUTO, vector_index.RECALL),
                    str(corpus),
                    reporter,
                )


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
