"""What decides a training run.

Each class is the one list of a command's settings. A field whose type carries an `Option` can be
set on the command line: `training.options` makes the option from the field's name, type and
default. A run's settings are saved beside its result, in training.json.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from astrosearch.encoders.base import Attention, EncoderSpec, Normalization
from astrosearch.evaluation.split import HELD_OUT_SHARE

Quantize = Literal["4bit", "8bit", "none"]
TrainedPooling = Literal["weighted-first-last", "weighted-mean-without-bos", "mean-without-bos"]


@dataclass(frozen=True, slots=True)
class Option:
    """How a field is set on the command line."""

    help: str
    least: float | None = None
    """Smallest value."""
    above: float | None = None
    """Largest value that is too small."""
    most: float | None = None
    """Largest value."""
    experimental: bool = False
    """Whether it serves experiments only; no model that ships was made with it."""


_SEED = Option("Seed of everything that is drawn at random.", least=0)


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Settings of `finetune`; the defaults are the AstroLLaMA paper's (arXiv:2309.06126, 2.3).

    Two runs with equal settings on equal data on one CPU give the same adapter, bit by bit.
    """

    base: str
    """A model's name (`astrosearch models`), hub id, folder or GGUF file."""
    rank: Annotated[int, Option("Rank of the LoRA matrices.", least=1)] = 16
    """The paper gives none; 16 on all linear maps of a 135-million-parameter LLaMA is 4.9 million
    weights, 10 MB in half precision."""
    alpha: Annotated[int, Option("LoRA's scale is alpha / rank.", least=1)] = 32
    """The update is multiplied by alpha / rank (arXiv:2106.09685, 4.1)."""
    dropout: Annotated[float, Option("Dropout before the LoRA matrices.", least=0, most=0.9)] = 0.05
    learning_rate: Annotated[float, Option("Peak, after the warm-up.", above=0)] = 3e-4
    min_learning_rate_share: float = 0.1
    """The cosine ends at this share of the peak."""
    warmup_share: float = 0.1
    """Share of the steps with a linear warm-up."""
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-5
    """These three are AdamW's (arXiv:1711.05101)."""
    weight_decay: Annotated[float, Option("Weight decay of AdamW.", least=0)] = 0.1
    max_gradient_norm: float = 1.0
    batch: Annotated[int, Option("Blocks per step.", least=1)] = 32
    """Over all processes and accumulated gradients."""
    micro_batch: int = 1
    """Blocks that go through the model at once, in each process. They must fit in memory."""
    epochs: Annotated[float, Option("Passes over the training blocks.", above=0)] = 3.0
    max_tokens: Annotated[
        int | None, Option("Stop after this many tokens, rounded up to whole steps.", least=1)
    ] = None
    """If that comes before the epochs end."""
    seed: Annotated[int, _SEED] = 0
    quantize: Quantize = "none"
    """How the base's frozen weights are held."""
    dtype: str = "float32"
    """Of the products; the adapter and its optimiser are always float32."""
    gradient_checkpointing: Annotated[bool, Option("Less memory, a third slower.")] = False
    """Compute activations twice instead of keeping them."""
    evaluations: int = 10
    """How often the held-out loss is measured during training, besides once before it."""
    evaluation_blocks: int = 32
    """Held-out blocks for that."""

    def as_record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ContrastSettings:
    """Settings of `contrast`.

    Two runs with equal settings on equal papers on one CPU give the same encoder, bit by bit.
    """

    base: str
    """A model's name (`astrosearch models`), hub id, folder or GGUF file."""
    adapter: Annotated[
        str | None, Option("Begin from this adapter of a language model or an encoder.")
    ] = None
    layers: Annotated[int | None, Option("How many of the first layers to keep.", least=0)] = 0
    """0 for the base's token embeddings alone; None for all layers."""
    pooling: Annotated[
        TrainedPooling, Option("How tokens become one vector; weighted-first-last is experimental.")
    ] = "weighted-mean-without-bos"
    attention: Annotated[
        Attention, Option("Whether a token sees those behind it.", experimental=True)
    ] = "causal"
    normalization: Annotated[
        Normalization,
        Option("Whether texts are read as words in lower case or as they are written."),
    ] = "plain"
    dimension: Annotated[int | None, Option("Length of the vectors.", least=2)] = 512
    """None for the model's width."""
    nested: tuple[int, ...] = (256, 128)
    """The first so many dimensions are trained to work alone too (Matryoshka)."""
    rank: Annotated[int, Option("Rank of the LoRA matrices.", least=1)] = 576
    """LoRA's scale, alpha / rank, is 1."""
    kept_rank: Annotated[int, Option("Without layers: rank of what is written.", least=1)] = 208
    """Without layers, what is learnt of the token embeddings is written as the nearest matrix of
    this rank, if that is smaller. A wide LoRA learns more than a narrow one, and truncating it
    afterwards loses little."""
    learning_rate: Annotated[float, Option("Of LoRA; the peak, after the warm-up.", above=0)] = 1e-3
    head_learning_rate: Annotated[
        float, Option("Of the linear map.", above=0, experimental=True)
    ] = 1e-3
    weight_learning_rate: Annotated[
        float, Option("Of the token weights.", above=0, experimental=True)
    ] = 1e-2
    """The token weights are trained as logarithms."""
    warmup_share: float = 0.1
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0
    temperature: Annotated[float, Option("Cosines are divided by it in the loss.", above=0)] = 0.04
    batch: Annotated[int, Option("Pairs per step.", least=2)] = 1024
    """Each pair's document is a negative of all other queries of the step."""
    request_share: Annotated[
        float, Option("Share of the pairs that are requests, with --requests.", least=0, most=0.9)
    ] = 0.12
    related_share: Annotated[
        float,
        Option("Share of the others that are related papers, with --pairs.", least=0, most=0.9),
    ] = 0.05
    """For a paper without relations, its title takes the place."""
    neighbours: Annotated[
        int,
        Option(
            "Of an index's citations: so many papers that are nearest by them, not those cited.",
            least=0,
            experimental=True,
        ),
    ] = 0
    token_share: Annotated[
        float,
        Option(
            "Without layers: the share of the loss that compares token by token.", least=0, most=1
        ),
    ] = 0.0
    """Trains the vectors of tokens for what they are used for (`contrastive.late_interaction`)."""
    token_temperature: Annotated[
        float, Option("Late-interaction scores are divided by it.", above=0, experimental=True)
    ] = 0.04
    masked: Annotated[
        float,
        Option(
            "Share of the queries that lose most words which their document has.",
            least=0,
            most=1,
            experimental=True,
        ),
    ] = 0.0
    """Halves of abstracts are never masked. The aim is to learn meaning where words do not help."""
    teacher: Annotated[
        str | None, Option("Learn from this encoder's similarities too.", experimental=True)
    ] = None
    teacher_share: Annotated[
        float, Option("The teacher's share of the loss.", least=0, most=1, experimental=True)
    ] = 0.2
    hard_negatives: Annotated[
        int,
        Option(
            "Abstracts per pair that a word search mistakes for it.", least=0, experimental=True
        ),
    ] = 0
    epochs: Annotated[float, Option("Pairs drawn per training paper.", above=0)] = 10.0
    max_pairs: Annotated[int | None, Option("Stop after this many pairs.", least=1)] = None
    query_tokens: Annotated[int, Option("Longer queries are cut.", least=8)] = 128
    document_tokens: Annotated[int, Option("Longer documents are cut.", least=8)] = 512
    """Only in training; the finished encoder takes 512."""
    memory_tokens: Annotated[
        int, Option("Tokens held at once; larger batches are encoded twice.", least=512)
    ] = 16_384
    """The activations of this many tokens are held. Without layers there are hardly any."""
    dtype: str = "float32"
    evaluations: int = 10
    """How often the held-out loss is measured during training, besides once before it."""
    evaluation_pairs: int = 256
    fold: Annotated[
        int,
        Option(
            "Which fifth of the papers is held out, for cross-validation; everything else that "
            "holds papers out, `eval --held-out` too, takes 0.",
            least=0,
            most=HELD_OUT_SHARE - 1,
        ),
    ] = 0
    """See `astrosearch.evaluation.split`."""
    seed: Annotated[int, _SEED] = 0

    def as_record(self) -> dict[str, Any]:
        return asdict(self) | {"nested": list(self.nested)}

    @property
    def spec(self) -> EncoderSpec:
        """The encoder that is trained, without its adapter."""
        return EncoderSpec(
            self.base,
            layers=self.layers,
            pooling=self.pooling,
            attention=self.attention,
            document="title-and-abstract",
            normalization=self.normalization,
        )
