"""What decides a fine-tuning. The defaults are the AstroLLaMA paper's (arXiv:2309.06126, 2.3)."""

from dataclasses import asdict, dataclass
from typing import Any

from astrosearch.completion.language_model import Quantize


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Two runs of equal settings on equal data on one CPU give the same adapter, bit by bit."""

    base: str
    """A model's name (`astrosearch models`), hub id, folder or GGUF file."""
    rank: int = 16
    """Of the LoRA matrices. The paper gives none; 16 on all linear maps of a 135-million-parameter
    LLaMA is 4.9 million weights, 10 MB in half precision."""
    alpha: int = 32
    """LoRA scale: the update is multiplied by alpha / rank (arXiv:2106.09685, 4.1)."""
    dropout: float = 0.05
    """Of the input of the LoRA matrices."""
    learning_rate: float = 3e-4
    """The peak, after the warm-up."""
    min_learning_rate_share: float = 0.1
    """The cosine ends at this share of the peak."""
    warmup_share: float = 0.1
    """Share of the steps with a linear warm-up."""
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-5
    """These three are AdamW's (arXiv:1711.05101)."""
    weight_decay: float = 0.1
    max_gradient_norm: float = 1.0
    batch: int = 32
    """Blocks a step, over all processes and accumulated gradients."""
    micro_batch: int = 1
    """Blocks that go through the model at once, in each process: what memory has to hold."""
    epochs: float = 3.0
    max_tokens: int | None = None
    """End after so many tokens, if that is before the epochs are through."""
    quantize: Quantize = "none"
    """How the base's frozen weights are held."""
    dtype: str = "float32"
    """Of the products; the adapter and its optimiser are always float32."""
    gradient_checkpointing: bool = False
    """Compute activations twice rather than keep them: less memory, a third slower."""
    evaluations: int = 10
    """How often the held-out loss is taken on the way, and once before the first step."""
    evaluation_blocks: int = 32
    """Held-out blocks for that."""
    seed: int = 0

    def as_record(self) -> dict[str, Any]:
        return asdict(self)
