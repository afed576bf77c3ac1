"""A cross-encoder: reads a query and a paper as one text, each word in the context of all others.

The signals of the learnt order compare tokens that know nothing of their neighbours. This
reads words in their context, at a price: nothing can be computed before the query is known. So it
reads the first papers of an answer alone.

The model is the beginning of a BERT (Devlin et al. 2019, arXiv:1810.04805), some layers that ONNX
Runtime computes in 8 bits: importing torch would take longer than the reading.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray
from tokenizers import Tokenizer

from astrosearch.cores import available_cores
from astrosearch.errors import InputError
from astrosearch.papers import Paper
from astrosearch.search.candidates import others_wait
from astrosearch.search.hits import Hit
from astrosearch.search.ranker import AUTHOR_MATCH

Array = NDArray[np.float32]

READ = 30
"""How many of an answer's first papers are read."""

QUERY_TOKENS, PAPER_TOKENS = 48, 160
"""What is read of each text; a title and most of an abstract fit into the second."""

GROUP = "context"
"""The name of what it adds, among `Hit.contributions`."""


class CrossEncoder:
    """A trained model of a folder: `config.json`, `model.onnx`, `tokenizer.json`."""

    depth = READ

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            InputError: if `model.onnx` does not hold a model.
        """
        record = orjson.loads((folder / "config.json").read_bytes())
        self.mixture: tuple[float, float, float] = tuple(record["mixture"])
        """The chance that a paper is relevant is the logistic function of these times: the log-odds
        that the learnt order gives it, how far the cross-encoder's score is above the mean of all
        that were read, and 1."""
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = _session(folder / "model.onnx")

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits, the first `READ` of them ordered by what the learnt order and the
        cross-encoder know together.

        Raises:
            InputError: if their order was not learnt.
        """
        head, tail = list(hits[:READ]), list(hits[READ:])
        if not head:
            return []
        if not all(hit.contributions for hit in head):
            raise InputError(
                "a cross-encoder adds to the learnt order of hits, which this search does not have"
            )
        read = self.scores(query, [hit.paper for hit in head]).astype(np.float64)
        read -= read.mean()
        authors = np.array([hit.author_match or 0.0 for hit in head])
        share = AUTHOR_MATCH if head[0].author_match is not None else 0.0
        chances = (np.array([hit.score for hit in head]) - share * authors) / (1 - share)
        chances = np.clip(chances, 1e-9, 1 - 1e-9)
        of_order, of_text, one = self.mixture
        odds = of_order * np.log(chances / (1 - chances)) + of_text * read + one
        scores = (1 - share) / (1 + np.exp(-odds)) + share * authors
        order = np.lexsort((-odds, -scores)).tolist()
        reranked = [
            replace(
                head[place],
                score=float(scores[place]),
                contributions={
                    **head[place].contributions,
                    GROUP: of_text * float(read[place]),
                },
            )
            for place in order
        ]
        lowest = reranked[-1].score
        reranked += [replace(hit, score=min(hit.score, lowest)) for hit in tail]
        return [
            replace(hit, rank=rank, match=round(100 * hit.score))
            for rank, hit in enumerate(reranked, start=1)
        ]

    def scores(self, query: str, papers: Sequence[Paper]) -> Array:
        """(n,) how well each paper answers a query: any real numbers, the larger the better.

        Raises:
            InputError: if the tokenizer is not a BERT's.
        """
        asked = self._ids(query)[:QUERY_TOKENS]
        texts = [self._ids(f"{paper.title}. {paper.abstract}")[:PAPER_TOKENS] for paper in papers]
        first = [self._special("[CLS]"), *asked, self._special("[SEP]")]
        pairs = [np.array([*first, *ids, self._special("[SEP]")]) for ids in texts]
        # Each pair is read by one thread: several would wait for each other at every product.
        threads = 1 if others_wait.get() else min(available_cores(), len(pairs))
        if threads <= 1:
            return np.array([self._score(pair, len(first)) for pair in pairs], dtype=np.float32)
        with ThreadPoolExecutor(threads) as pool:
            scores = list(pool.map(self._score, pairs, [len(first)] * len(pairs)))
        return np.array(scores, dtype=np.float32)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _special(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise InputError(f"the cross-encoder's tokenizer has no {token}")
        return number

    def _score(self, ids: NDArray[np.int64], query_length: int) -> float:
        """The score of a pair of texts.

        Args:
            ids: (n,) its tokens; the first `query_length` are the query's.
        """
        is_paper = np.arange(len(ids)) >= query_length
        # What is pooled: the first token, and the means of both texts.
        parts = np.zeros((3, len(ids)), dtype=np.float32)
        parts[0, 0] = 1
        parts[1, ~is_paper] = 1 / query_length
        parts[2, is_paper] = 1 / (len(ids) - query_length)
        inputs = {"ids": ids, "is_paper": is_paper.astype(np.int64), "parts": parts}
        [score] = self._session.run(["score"], inputs)
        return float(score[0, 0])


SHIPPED = Path(str(files("astrosearch"))) / "adapters" / "astro-rerank"


@cache
def shipped_cross_encoder() -> CrossEncoder:
    """The model that `train rerank` made."""
    return CrossEncoder(SHIPPED)


def _session(file: Path) -> onnxruntime.InferenceSession:
    """The model, computed by the thread that asks.

    Raises:
        InputError: if the file does not hold one.
    """
    onnxruntime.set_default_logger_severity(3)  # errors: it warns of machines without a GPU
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = file.read_bytes()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is not a model that can be run: {reason}") from None
