"""What an encoder is, and what an index writes down of the one that made its vectors."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, get_args, overload

import numpy as np
from numpy.typing import NDArray

from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import IndexDamaged
from astrosearch.papers import Paper
from astrosearch.report import Reporter

Pooling = Literal[
    "mean-without-bos", "mean", "weighted-mean-without-bos", "weighted-first-last", "undisclosed"
]
Attention = Literal["causal", "bidirectional"]
Normalization = Literal["none", "plain"]

OPENAI = "openai:"
"""Before the name of a model that OpenAI's service runs."""


def pooled_width(pooling: Pooling, hidden_size: int) -> int:
    """Length of a model's pooled vector, before any transform."""
    return 2 * hidden_size if pooling == "weighted-first-last" else hidden_size


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Everything that decides a text's vector. Two equal specs give comparable vectors."""

    model: str
    """A known name (`astrosearch models`), a hub id, a folder, a GGUF file, or `openai:NAME`."""
    revision: str = ""
    """Fingerprint of the weights; empty until they are found on this machine. Of a service's
    model, whose weights nobody sees, the name that the service gives it."""
    adapter: str | None = None
    """A PEFT adapter: hub id or folder."""
    layers: int | None = None
    """How many of the model's first layers are run, 0 for its token embeddings alone; None for all
    of them."""
    pooling: Pooling = "mean-without-bos"
    """`mean-without-bos` is the AstroLLaMA paper's: a mean over all real tokens but the first.
    `weighted-` with a weight for each token of the vocabulary, which its adapter brings, over the
    square root of how often the text has the token: the tenth time says little that is new
    (sublinear term frequency: Manning et al. 2008, Introduction to Information Retrieval, 6.4.1).
    `first-last` puts the mean that 0 layers would give before that of the last layer: what the
    words are by themselves, and what they are here.
    `undisclosed` is a service's own."""
    attention: Attention | None = None
    """Whether a token sees those behind it; None for the way the model was trained."""
    transform: str | None = None
    """Name of a whitening in `astrosearch/encoders/transforms`, applied to the pooled vector."""
    max_tokens: int = 512
    """Longer texts are cut; the BOS token counts."""
    document: Literal["abstract", "title-and-abstract"] = "abstract"
    """What is encoded of a paper: as in the AstroLLaMA paper the abstract alone, or both."""
    normalization: Normalization = "none"
    """`plain` reads a text as its words in lower case, without punctuation and TeX
    (`astrosearch.text.analysis.normalize`), for an encoder that was trained that way."""
    quantize: Literal["4bit"] | None = None
    """Hold the weights in 4 bits (NF4, bitsandbytes)."""

    def as_record(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, object]) -> "EncoderSpec":
        """Read what `as_record` gave, in this version or an earlier one.

        Raises:
            IndexDamaged: if the record has fields this version does not know, or odd values.
        """
        if "spelling" in record:  # the name of `normalization` in earlier versions
            old = record["spelling"]
            record = {name: value for name, value in record.items() if name != "spelling"}
            record["normalization"] = "none" if old == "kept" else old
        known = {field.name for field in fields(cls)}
        if strangers := sorted(set(record) - known):
            raise IndexDamaged(
                f"the encoder has fields this version does not know: "
                f"{', '.join(strangers)}; a newer astrosearch wrote it"
            )
        try:
            spec = cls(**record)  # type: ignore[arg-type]
        except TypeError as error:
            raise IndexDamaged(f"the encoder is described in part only: {error}") from None
        for name, (kinds, choices) in _ALLOWED.items():
            value = getattr(spec, name)
            if type(value) not in kinds or (choices and value not in choices):
                raise IndexDamaged(f"the encoder's {name} cannot be {str(value)[:40]!r}")
        if spec.max_tokens < 1 or (spec.layers is not None and spec.layers < 0):
            raise IndexDamaged(
                f"the encoder cannot read {spec.max_tokens:,} tokens with {spec.layers} layers"
            )
        return spec

    def text_of(self, paper: Paper) -> str:
        """What is encoded of a paper."""
        return paper.abstract if self.document == "abstract" else paper.text

    @property
    def short_name(self) -> str:
        """What a person calls it: the last part of the adapter's name, or of the model's."""
        return (self.adapter or self.model).rstrip("/").rpartition("/")[2]

    @property
    def key(self) -> str:
        """A digest that changes whenever any field does."""
        canonical = json.dumps(self.as_record(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def is_service(self) -> bool:
        """Whether the model runs elsewhere, is paid for by the token, and has no weights here."""
        return self.model.startswith(OPENAI)

    @property
    def is_static(self) -> bool:
        """Whether no layer is run, so that a token's vector is the same in every text."""
        return self.layers == 0

    @property
    def needs_only_tokens(self) -> bool:
        """Whether the model's token embeddings and final norm are all that is used of it, with
        what an embedding adapter has learnt of them."""
        return self.is_static and self.pooling == "weighted-mean-without-bos"

    def __str__(self) -> str:
        if self.pooling == "undisclosed":
            return self.model
        parts = [self.model]
        if self.adapter:
            parts.append(f"adapter {self.adapter}")
        parts.append("all layers" if self.layers is None else f"{self.layers} layers")
        parts.append(self.pooling)
        if self.attention:
            parts.append(self.attention)
        if self.transform:
            parts.append(self.transform)
        if self.document != "abstract":
            parts.append(self.document)
        if self.normalization != "none":
            parts.append(f"{self.normalization} words")
        if self.quantize:
            parts.append(self.quantize)
        return ", ".join(parts)


_TEXT, _NUMBER, _NONE = str, int, type(None)
_ALLOWED: dict[str, tuple[tuple[type, ...], tuple[object, ...]]] = {
    "model": ((_TEXT,), ()),
    "revision": ((_TEXT,), ()),
    "adapter": ((_TEXT, _NONE), ()),
    "layers": ((_NUMBER, _NONE), ()),
    "pooling": ((_TEXT,), get_args(Pooling)),
    "attention": ((_TEXT, _NONE), (None, *get_args(Attention))),
    "transform": ((_TEXT, _NONE), ()),
    "max_tokens": ((_NUMBER,), ()),
    "document": ((_TEXT,), ("abstract", "title-and-abstract")),
    "normalization": ((_TEXT,), get_args(Normalization)),
    "quantize": ((_TEXT, _NONE), (None, "4bit")),
}
"""What a spec's fields may hold: their types and, where there are few, their values."""


class TokenBag(NamedTuple):
    """The different tokens of a text."""

    tokens: NDArray[np.int64]
    """(t,), ascending."""
    counts: NDArray[np.integer]
    """(t,), how often each stands in the text."""

    @classmethod
    def empty(cls) -> "TokenBag":
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8))


class EncodedTexts(NamedTuple):
    """The vectors of some texts, and what they took."""

    vectors: Vectors
    """(n, dimension) float32, rows of length 1, row i for text i."""
    tokens: int
    """How many went through the model; of texts whose vectors were in a cache, none."""
    bags: Sequence[TokenBag] | None = None
    """The tokens of each text, from an encoder that compares tokens."""


class Encoder(Protocol):
    """Anything that turns texts into unit vectors."""

    @property
    def spec(self) -> EncoderSpec: ...

    @property
    def dimension(self) -> int:
        """Of the vectors.

        Raises:
            AstrosearchError: if it is not known: of a service's model before its first answer.
        """
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension) float32, rows of length 1, row i for text i."""
        ...

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        """The same vectors, with the number of tokens."""
        ...


class WeightedTokens(NamedTuple):
    """A text as the tokens that it has."""

    tokens: NDArray[np.int64]
    """(t,), each once, ascending."""
    weights: NDArray[np.float32]
    """(t,), what each counts for in the text; their sum is 1."""


_Text = TypeVar("_Text", TokenBag, WeightedTokens)


class Joined(Sequence[_Text], Generic[_Text]):
    """Texts as one array of tokens and one of what belongs to each: a hundred are compared with
    each query, and so many small arrays would take longer than what is computed of them."""

    def __init__(
        self,
        kind: type[_Text],
        tokens: NDArray[np.int64],
        numbers: NDArray[Any],
        lengths: NDArray[np.int64],
    ) -> None:
        """
        Args:
            kind: what a text is made into when it is asked for.
            tokens, numbers: (t,) text after text.
            lengths: (n,) how many tokens each text has.
        """
        self._kind: Callable[[NDArray[np.int64], NDArray[Any]], _Text] = kind
        self.tokens, self.numbers, self.lengths = tokens, numbers, lengths
        self.starts = np.cumsum(lengths) - lengths

    @classmethod
    def of(cls, kind: type[_Text], texts: Sequence[_Text]) -> "Joined[_Text]":
        """`texts`, joined if they are not."""
        if isinstance(texts, Joined):
            return texts
        tokens = [text[0] for text in texts] or [np.zeros(0, np.int64)]
        numbers = [text[1] for text in texts] or [np.zeros(0, np.float32)]
        lengths = np.array([len(text[0]) for text in texts], dtype=np.int64)
        return cls(kind, np.concatenate(tokens), np.concatenate(numbers), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, place: int) -> _Text: ...
    @overload
    def __getitem__(self, place: slice) -> list[_Text]: ...
    def __getitem__(self, place: int | slice) -> _Text | list[_Text]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        start = int(self.starts[place])
        here = slice(start, start + int(self.lengths[place]))
        return self._kind(self.tokens[here], self.numbers[here])


class LateInteraction(ABC):
    """An encoder that can compare two texts token by token, which tells more than one vector each
    (Khattab and Zaharia 2020, arXiv:2004.12832). An encoder that can derives from this class."""

    @abstractmethod
    def token_bags(self, texts: Sequence[str]) -> list[TokenBag]:
        """The tokens of each text, at least one."""

    @abstractmethod
    def weigh(self, bags: Sequence[TokenBag]) -> Sequence[WeightedTokens]:
        """The tokens of each text with what each counts for."""

    def weighted_tokens(self, texts: Sequence[str]) -> Sequence[WeightedTokens]:
        """Each text as its tokens."""
        return self.weigh(self.token_bags(texts))

    def read_as_queries(self, vectors: Vectors, texts: Sequence[WeightedTokens]) -> Vectors:
        """(n, dimension) float32 unit rows of n texts as queries: those of the texts as documents,
        unless the encoder was trained to encode queries in another way.

        Args:
            vectors: (n, dimension) of the texts as documents.
            texts: their tokens.
        """
        return vectors

    @abstractmethod
    def token_vectors(self, tokens: NDArray[np.int64]) -> Vectors:
        """(t, any) float32 unit rows: a token has the same vector in every text."""


class Billable(ABC):
    """An encoder whose tokens cost money, and which asks before it spends any. An encoder that
    does derives from this class."""

    @abstractmethod
    def request_approval(self, texts: Iterable[str]) -> None:
        """Have the whole of a job agreed to, before the first of its texts is encoded.

        Raises:
            AstrosearchError: if whoever pays says no.
        """


BATCH_TEXTS = 256
"""Texts handed to an encoder at once; it sorts them by length into batches of its own."""


def encode_all(encoder: Encoder, texts: Sequence[str], task: str, reporter: Reporter) -> Vectors:
    """(n, dimension) float32 unit rows of many texts, with progress.

    Args:
        task: what is being done, in the words shown to the user.
    """
    parts = []
    for start in range(0, len(texts), BATCH_TEXTS):
        reporter.progress(task, start, len(texts))
        parts.append(encoder.encode(texts[start : start + BATCH_TEXTS]))
    reporter.progress(task, len(texts), len(texts))
    return np.concatenate(parts) if parts else encoder.encode([])


class Encoded(NamedTuple):
    """A shard of texts, encoded."""

    rows: NDArray[np.int64]
    """(n,) of their papers."""
    vectors: Vectors
    """(n, dimension) float32, unit rows."""
    tokens: int
    seconds: float
    """Spent in the encoder, divided by how many encoders were at work."""
    bags: Sequence[TokenBag] | None = None
    """The tokens of each text, from an encoder that compares tokens."""
