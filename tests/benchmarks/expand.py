"""What `query --expand` gains or loses with the chat model that comes with astrosearch,
SmolLM2-135M-Instruct: papers found by what people ask for, with and without a made-up abstract.

    python -m tests.benchmarks.expand INDEX requests.jsonl

Every request is put to a whole index. The model writes as `--expand openai:MODEL` asks its model
to, but 16 abstracts at once and without sampling.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from astrosearch import open_index
from astrosearch.cli.console import Terminal
from astrosearch.completion.expand import LONGEST, TASK
from astrosearch.completion.generators.base import GeneratorSpec
from astrosearch.completion.generators.loading import load_generator
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.encoders.registry import DEFAULT
from tests.benchmarks.requests import reciprocal_rank, requests, show
from training.ranking.fit import paired_rows

BATCH = 16


class Written:
    """An expander whose texts were written before."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def expand(self, query: str) -> str:
        return self._texts[query]


@torch.inference_mode()
def abstracts(queries: list[str], tokens: int) -> dict[str, str]:
    """The abstract that the model makes up for each query."""
    reporter = Terminal()
    generator = load_generator(GeneratorSpec(DEFAULT), reporter)
    assert isinstance(generator, LocalGenerator)
    vocabulary = generator.model.vocabulary
    assert vocabulary.chat_template is not None
    texts: dict[str, str] = {}
    for start in range(0, len(queries), BATCH):
        reporter.progress("Writing", start, len(queries))
        batch = queries[start : start + BATCH]
        prompts = [
            generator._conversation(vocabulary.chat_template, f"{TASK}\n\n{query}")
            for query in batch
        ]
        longest = max(map(len, prompts))
        ids = [[vocabulary.eos] * (longest - len(each)) + each for each in prompts]
        mask = [[0] * (longest - len(each)) + [1] * len(each) for each in prompts]
        written = generator.model.model.generate(
            torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            do_sample=False,
            max_new_tokens=tokens,
            pad_token_id=vocabulary.eos,
        )[:, longest:]
        for query, row in zip(batch, written.tolist(), strict=True):
            texts[query] = vocabulary.tokenizer.decode(row, skip_special_tokens=True) or query
    reporter.progress("Writing", len(queries), len(queries))
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--tokens", type=int, default=LONGEST)
    arguments = parser.parse_args()
    lines = list(requests(arguments.requests))
    texts = abstracts(list(dict.fromkeys(text for _, _, text in lines)), arguments.tokens)
    values = np.zeros((len(lines), 2))
    for column, expander in enumerate((None, Written(texts))):
        with open_index(arguments.index, expander=expander) as searcher:
            for row, (_, paper_id, text) in enumerate(lines):
                values[row, column] = reciprocal_rank(searcher.query(text), paper_id)
    print(f"{'MRR@10':14}{'':>5}  {'query':22}  {'query --expand':22}  difference")
    for kind, count, *estimates in paired_rows([kind for kind, _, _ in lines], values):
        print(f"{kind:14}{count:5,}  " + "  ".join(map(show, estimates)))
    example = lines[0][2]
    print(f"\nFor example, of {example!r}: {texts[example]!r}")


if __name__ == "__main__":
    main()
