"""A dropout whose masks a CPU draws quickly."""

import numpy as np
import torch


class ByteDropout(torch.nn.Module):
    """Dropout with one byte of a fast generator per element: the probability is rounded to 1/256.

    On a CPU torch draws its masks one number after the other with a slow generator. With LoRA's
    dropout before every linear map that takes a third of the training time. The seed of each mask
    is drawn from torch's generator, so checkpoints and recomputed activations repeat it.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.limit = round(256 * probability)
        """How many of the 256 byte values drop."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x, of any shape; in training a share `limit` / 256 of it is set to 0 and the rest is
        scaled up, so that the expectation stays the same."""
        if not self.training or not self.limit:
            return x
        generator = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()))))
        words = generator.integers(0, 2**64, size=x.numel() // 8 + 1, dtype=np.uint64)
        factor = torch.full((256,), 256 / (256 - self.limit), dtype=x.dtype)
        factor[: self.limit] = 0
        # As integers of the same width, because numpy has no bfloat16.
        bits = factor.view({2: torch.int16, 4: torch.int32}[x.element_size()]).numpy()
        mask = torch.from_numpy(bits[words.view(np.uint8)[: x.numel()]])
        return x * mask.view(x.dtype).view(x.shape)


def use_byte_dropout(model: torch.nn.Module, probability: float) -> None:
    """Replace the dropouts of a model's LoRA layers by `ByteDropout`."""
    for module in model.modules():
        if isinstance(dropouts := getattr(module, "lora_dropout", None), torch.nn.ModuleDict):
            for name in dropouts:
                dropouts[name] = ByteDropout(probability)
