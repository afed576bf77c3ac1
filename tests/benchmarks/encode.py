"""Encoding abstracts, against sentence-transformers with the same weights in the same run.

Both get the same texts and weights, on a CPU, and take turns by quarters of the texts.
sentence-transformers runs with its defaults (float32, batches of 32, sorted by length), and also in
our number format if that is another. The share of the peak is the rate of the model's matrix
products over the rate of the fastest product that this machine did in that format. The cosines are
those of our vectors with its float32 ones.

    python -m tests.benchmarks.encode arxiv-metadata-oai-snapshot.json --papers 2000
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.devices import fast_dtype
from astrosearch.encoders.registry import DEFAULT
from astrosearch.encoders.transformer import TransformerEncoder
from astrosearch.encoders.vectors import unit_rows
from astrosearch.encoders.weights.locate import locate
from astrosearch.report import SILENT


def peer(folder: Path, layers: int | None, max_tokens: int, dtype: torch.dtype) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    # As plain text: otherwise each is wrapped in the tokenizer's chat template, of 24 tokens.
    body = Transformer(
        str(folder),
        max_seq_length=max_tokens,
        model_kwargs={"dtype": dtype},
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    )
    if layers:
        body.auto_model.layers = body.auto_model.layers[:layers]
    return SentenceTransformer(modules=[body, Pooling(body.auto_model.config.hidden_size)])


def peak(dtype: torch.dtype) -> float:
    """FLOP/s of the fastest matrix product of a few sizes."""
    best = 0.0
    for size in (1024, 2048, 4096):
        left, right = (torch.rand(size, size).to(dtype) for _ in range(2))
        for _ in range(4):
            start = time.perf_counter()
            left @ right
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def operations(folder: Path, layers: int | None, lengths: list[int]) -> float:
    """FLOPs of a LLaMA's matrix products, without its head, for texts of these lengths in tokens.
    Causal attention counts half."""
    config = json.loads((folder / "config.json").read_bytes())
    width, inner = config["hidden_size"], config["intermediate_size"]
    shared = config["num_key_value_heads"] / config["num_attention_heads"]
    weights = width * width * (2 + 2 * shared) + 3 * width * inner
    per_layer = sum(2 * weights * length + 2 * width * length**2 for length in lengths)
    return float(per_layer * (layers or config["num_hidden_layers"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--papers", type=int, default=2000)
    parser.add_argument("--dtype", help="Our number format; by default the processor's fastest.")
    arguments = parser.parse_args()
    folder, _ = locate(arguments.model, SILENT)
    texts = [
        paper.abstract
        for (paper, _, _), _ in zip(
            read_papers([arguments.corpus], Selection(), Intake(), lambda refusal: None),
            range(arguments.papers),
            strict=False,
        )
    ]
    spec = EncoderSpec("", layers=arguments.layers, pooling="mean")
    dtype = getattr(torch, arguments.dtype) if arguments.dtype else fast_dtype(torch.device("cpu"))
    ours = TransformerEncoder(spec, folder, device="cpu", dtype=arguments.dtype)
    peers = {
        kind: peer(folder, arguments.layers, spec.max_tokens, kind)
        for kind in {torch.float32, dtype}
    }
    runs: dict[str, tuple[torch.dtype, Any]] = {"ours": (dtype, ours.encode)}
    for kind, model in peers.items():
        name = f"sentence-transformers, {str(kind).removeprefix('torch.')}"
        runs[name] = kind, partial(model.encode, show_progress_bar=False)
    seconds = dict.fromkeys(runs, 0.0)
    vectors: dict[str, list[Any]] = {name: [] for name in runs}
    for quarter in np.array_split(np.array(texts, dtype=object), 4):
        for name, (_, encode) in runs.items():
            start = time.perf_counter()
            vectors[name].append(encode(list(quarter)))
            seconds[name] += time.perf_counter() - start
    lengths = [len(ids) for ids in ours._tokens.ids(texts)]
    flops = operations(folder, arguments.layers, lengths)
    peaks = {kind: peak(kind) for kind in peers}
    print(f"{len(texts):,} texts, {sum(lengths):,} tokens, {torch.get_num_threads()} threads")
    for name, (kind, _) in runs.items():
        rate = f"{sum(lengths) / seconds[name]:8,.0f} tokens/s"
        share = (
            f"{flops / seconds[name] / peaks[kind]:.0%} of the peak of "
            f"{peaks[kind] / 1e9:.0f} GFLOP/s"
        )
        ratio = f"ratio {seconds[name] / seconds['ours']:.2f}"
        print(f"{name:31} {rate}  {share}  {ratio}")
    rows = {name: unit_rows(np.concatenate(parts)) for name, parts in vectors.items()}
    cosines = (rows["ours"] * rows["sentence-transformers, float32"]).sum(axis=1)
    print(f"cosines with float32: mean {cosines.mean():.6f}, least {cosines.min():.6f}")


if __name__ == "__main__":
    main()
