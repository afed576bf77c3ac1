"""Encoding abstracts, against sentence-transformers with the same weights in the same run.

Both get the same texts and weights, in float32 on a CPU, and take turns by quarters of the texts.
sentence-transformers runs as it is by default (batches of 32, sorted by length). The share of the
peak is what the model's matrix products amount to, over the fastest product this machine did.

    python -m tests.benchmarks.encode arxiv-metadata-oai-snapshot.json --papers 2000
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astrosearch import models
from astrosearch.encoder import EncoderSpec
from astrosearch.encoders.transformer import TransformerEncoder
from astrosearch.readers import Intake, Selection, read_papers


def peer(folder: Path, layers: int | None, max_tokens: int) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    body = Transformer(str(folder), max_seq_length=max_tokens)
    if layers:
        body.auto_model.layers = body.auto_model.layers[:layers]
    return SentenceTransformer(modules=[body, Pooling(body.auto_model.config.hidden_size)])


def peak() -> float:
    """FLOP/s of the fastest float32 product of a few sizes."""
    best = 0.0
    for size in (1024, 2048, 4096):
        left, right = torch.rand(size, size), torch.rand(size, size)
        for _ in range(4):
            start = time.perf_counter()
            left @ right
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def operations(folder: Path, layers: int | None, lengths: list[int]) -> float:
    """FLOPs of the products of a LLaMA's body over texts of these lengths, attention halved."""
    config = json.loads((folder / "config.json").read_bytes())
    width, inner = config["hidden_size"], config["intermediate_size"]
    shared = config["num_key_value_heads"] / config["num_attention_heads"]
    weights = width * width * (2 + 2 * shared) + 3 * width * inner
    per_layer = sum(2 * weights * length + 2 * width * length**2 for length in lengths)
    return float(per_layer * (layers or config["num_hidden_layers"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", default=models.DEFAULT)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--papers", type=int, default=2000)
    arguments = parser.parse_args()
    folder, _ = models.locate(arguments.model, print)
    texts = [
        paper.abstract
        for (paper, _, _), _ in zip(
            read_papers([arguments.corpus], Selection(), Intake(), lambda refusal: None),
            range(arguments.papers),
            strict=False,
        )
    ]
    ours = TransformerEncoder(EncoderSpec("", layers=arguments.layers), folder, device="cpu")
    theirs = peer(folder, arguments.layers, ours.spec.max_tokens)
    seconds = {"ours": 0.0, "sentence-transformers": 0.0}
    for quarter in np.array_split(np.array(texts, dtype=object), 4):
        start = time.perf_counter()
        ours.encode(list(quarter))
        middle = time.perf_counter()
        theirs.encode(list(quarter), show_progress_bar=False)
        seconds["ours"] += middle - start
        seconds["sentence-transformers"] += time.perf_counter() - middle
    lengths = [len(ids) for ids in ours._tokens.ids(texts)]
    best, flops = peak(), operations(folder, arguments.layers, lengths)
    print(f"{len(texts):,} texts, {sum(lengths):,} tokens, {torch.get_num_threads()} threads")
    print(f"fastest matrix product {best / 1e9:.0f} GFLOP/s")
    for name, spent in seconds.items():
        share = flops / spent / best
        print(f"{name:22} {sum(lengths) / spent:8,.0f} tokens/s  {share:5.0%} of the peak")
    print(f"ratio {seconds['sentence-transformers'] / seconds['ours']:.2f}")


if __name__ == "__main__":
    main()
