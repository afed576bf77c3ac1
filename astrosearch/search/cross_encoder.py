"""A cross-encoder: reads a query and a paper as one text, each word in the context of all others.

The signals of the learnt order compare tokens that know nothing of their neighbours. This
reads words in their context, at a price: nothing can be computed before the query is known. So it
reads the first papers of an answer alone.

The model is the beginning of a BERT (Devlin et al. 2019, arXiv:1810.04805), some layers in numpy:
importing torch would take longer than the reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from astrosearch.errors import InputError
from astrosearch.papers import Paper
from astrosearch.search.hits import Hit
from astrosearch.search.ranker import AUTHOR_MATCH

Array = NDArray[np.float32]

READ = 30
"""How many of an answer's first papers are read."""

UNDIVIDED = 2**18
"""Multiplications of a matrix product that OpenBLAS does not divide among threads. These wait for
each other without sleeping: on a machine that has other work, thousands of small products that are
divided take ten seconds instead of one."""

QUERY_TOKENS, PAPER_TOKENS = 48, 160
"""What is read of each text; a title and most of an abstract fit into the second."""

GROUP = "context"
"""The name of what it adds, among `Hit.contributions`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `config.json` says beside the weights."""

    layers: int
    heads: int
    mixture: tuple[float, float, float]
    """The chance that a paper is relevant is the logistic function of these times: the log-odds
    that the learnt order gives it, how far the cross-encoder's score is above the mean of all that
    were read, and 1."""


class CrossEncoder:
    """A trained model of a folder: `config.json`, `model.safetensors`, `tokenizer.json`."""

    depth = READ

    def __init__(self, folder: Path) -> None:
        record = orjson.loads((folder / "config.json").read_bytes())
        self.settings = Settings(record["layers"], record["heads"], tuple(record["mixture"]))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._weights = _read(folder / "model.safetensors")

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
        of_order, of_text, one = self.settings.mixture
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
        return self._forward(pairs, len(first))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _special(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise InputError(f"the cross-encoder's tokenizer has no {token}")
        return number

    def _forward(self, pairs: Sequence[NDArray[np.int64]], query_length: int) -> Array:
        """(n,) scores of n pairs of texts.

        Args:
            pairs: token ids; the first `query_length` are the query's.
        """
        weights = self._weights
        # All pairs lie in one matrix, without padding; only attention looks at each by itself.
        ends = np.cumsum([len(pair) for pair in pairs])
        starts = ends - [len(pair) for pair in pairs]
        places = np.concatenate([np.arange(len(pair)) for pair in pairs])
        is_paper = (places >= query_length).astype(np.int64)
        states = _normed(
            weights["embeddings.word_embeddings.weight"][np.concatenate(pairs)]
            + weights["embeddings.position_embeddings.weight"][places]
            + weights["embeddings.token_type_embeddings.weight"][is_paper],
            weights,
            "embeddings.LayerNorm",
        )
        for number in range(self.settings.layers):
            states = self._layer(states, f"encoder.layer.{number}", starts, ends)
        pooled = np.stack(
            [
                np.concatenate(
                    [
                        states[start],
                        states[start : start + query_length].mean(axis=0),
                        states[start + query_length : end].mean(axis=0),
                    ]
                )
                for start, end in zip(starts, ends, strict=True)
            ]
        )
        hidden = np.tanh(_linear(pooled, weights, "hidden"))
        return _linear(hidden, weights, "output")[:, 0]

    def _layer(
        self, states: Array, name: str, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Array:
        weights, heads = self._weights, self.settings.heads
        width = states.shape[1] // heads
        query, key, value = (
            _linear(states, weights, f"{name}.attention.self.{part}").reshape(-1, heads, width)
            for part in ("query", "key", "value")
        )
        query = query * np.float32(width**-0.5)
        mixed = np.empty_like(query)
        for start, end in zip(starts, ends, strict=True):
            keys = key[start:end].transpose(1, 2, 0)
            values = value[start:end].transpose(1, 0, 2)
            rows = max(1, UNDIVIDED // (width * (end - start)))
            for first in range(start, end, rows):
                part = slice(first, min(first + rows, end))
                attention = query[part].transpose(1, 0, 2) @ keys
                attention -= attention.max(axis=2, keepdims=True)
                np.exp(attention, out=attention)
                attention /= attention.sum(axis=2, keepdims=True)
                mixed[part] = (attention @ values).transpose(1, 0, 2)
        output = _linear(mixed.reshape(states.shape), weights, f"{name}.attention.output.dense")
        states = _normed(states + output, weights, f"{name}.attention.output.LayerNorm")
        inner = _gelu(_linear(states, weights, f"{name}.intermediate.dense"))
        output = _linear(inner, weights, f"{name}.output.dense")
        return _normed(states + output, weights, f"{name}.output.LayerNorm")


SHIPPED = Path(str(files("astrosearch"))) / "adapters" / "astro-rerank"


@cache
def shipped_cross_encoder() -> CrossEncoder:
    """The model that `train rerank` made."""
    return CrossEncoder(SHIPPED)


SCALE = ".scale"
"""Ends the name of the (rows, 1) float16 scales of a matrix whose (rows, columns) are 8 bits."""


def _read(file: Path) -> dict[str, Array]:
    """Weights as float32: matrices are kept in 8 bits, one scale for each row."""
    arrays = load_file(file)
    return {
        name: array.astype(np.float32) * arrays[name + SCALE].astype(np.float32)
        if name + SCALE in arrays
        else array.astype(np.float32)
        for name, array in arrays.items()
        if not name.endswith(SCALE)
    }


def _linear(states: Array, weights: dict[str, Array], name: str) -> Array:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _normed(states: Array, weights: dict[str, Array], name: str) -> Array:
    """Layer norm (Ba et al. 2016, arXiv:1607.06450), with BERT's epsilon."""
    states = states - states.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", states, states)[:, None] / np.float32(states.shape[1])
    states /= np.sqrt(variance + np.float32(1e-12))
    return states * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(values: Array) -> Array:
    """Hendrycks and Gimpel 2016 (arXiv:1606.08415), by their approximation with tanh: numpy has no
    error function."""
    inner = values * values
    inner *= np.float32(0.044715)
    inner += 1
    inner *= values
    inner *= np.float32(0.7978845608)
    np.tanh(inner, out=inner)
    inner += 1
    inner *= values
    inner *= np.float32(0.5)
    return inner
