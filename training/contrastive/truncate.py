"""The rank at which an encoder without layers is written."""

from pathlib import Path

import numpy as np
import torch

from training.contrastive.model import EmbeddingModel, tokens_of
from training.contrastive.pairs import PairSampler
from training.settings import ContrastSettings

PAPERS = 1_000
"""Papers whose tokens are counted at a time."""


def truncate_rank(
    model: EmbeddingModel, settings: ContrastSettings, folder: Path, sampler: PairSampler
) -> None:
    """Replace what LoRA learnt of the token embeddings by the nearest matrix of rank `kept_rank`.

    Nearest (Eckart and Young 1936) when each token's distance is weighted by the root of its count
    in the training papers, times its weight in the mean.

    Args:
        folder: where the base model is, for its tokenizer.
    """
    tokens = tokens_of(settings, folder, settings.document_tokens)
    counts = np.zeros(model.body.config.vocab_size)
    for start in range(0, len(sampler), PAPERS):
        papers = sampler.corpus.papers(sampler.rows[start : start + PAPERS].tolist())
        ids = np.concatenate(tokens.ids([settings.spec.text_of(paper) for paper in papers]))
        counts += np.bincount(ids, minlength=len(counts))
    weights = torch.from_numpy(counts).float().sqrt()
    if model.log_weights is not None:
        weights *= model.log_weights.detach().cpu().exp()
    (lora,) = (
        module for module in model.body.modules() if getattr(module, "lora_embedding_A", None)
    )
    down, up = lora.lora_embedding_A["default"], lora.lora_embedding_B["default"]
    learnt = (up @ down).detach().float().cpu().T  # (vocabulary, width)
    weighted = learnt * weights[:, None]
    _, axes = torch.linalg.eigh(weighted.T @ weighted)  # ascending eigenvalues
    axes = axes[:, -settings.kept_rank :]
    down.data = (learnt @ axes).T.contiguous()
    up.data = axes.contiguous()
    config = model.body.peft_config["default"]
    config.r = config.lora_alpha = axes.shape[1]
