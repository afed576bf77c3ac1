"""What does a written answer add to a query (`query --expand`)? With SmolLM2-135M-Instruct, which a
Python package carries and which knows little astronomy.

    python -m tests.benchmarks.expand INDEX requests.jsonl --papers 100

The model writes what `--expand` asks a service for, for the question, the need and the keywords of
each of the first --papers requests, and for the titles of these papers. Each text is put to the
whole index twice, without and with what was written. Only the paper that it stands for counts.
"""

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from astrosearch import open_index
from astrosearch.cli.console import Terminal
from astrosearch.completion.expand import TASK
from astrosearch.encoders.weights.locate import locate
from astrosearch.search.query_parser import ParsedQuery
from tests.benchmarks.requests import reciprocal_rank, requests, show
from training.contrastive.requests import FORMS
from training.ranking.fit import paired_rows

BATCH, LONGEST = 32, 80
"""Texts that are continued together; tokens that are written."""


class Written:
    """What was written for each text, as `Searcher` asks an expander for it."""

    def __init__(self, texts: Sequence[str], reporter: Terminal) -> None:
        folder, _ = locate("smollm2-135m", reporter)
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        tokenizer.pad_token = tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._written: dict[str, str] = {}
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            reporter.progress("Writing", len(self._written), len(texts))
            prompts = [
                tokenizer.apply_chat_template(
                    [{"role": "system", "content": TASK}, {"role": "user", "content": text}],
                    tokenize=False,
                    add_generation_prompt=True,
                )
                for text in batch
            ]
            inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
            with torch.inference_mode():
                ids = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
            answers = tokenizer.batch_decode(
                ids[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
            )
            self._written |= zip(batch, answers, strict=True)
        reporter.progress("Writing", len(texts), len(texts))

    def expand(self, query: str) -> str:
        return self._written[query] or query


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("file", type=Path)
    parser.add_argument("--papers", type=int, default=100)
    arguments = parser.parse_args()
    asked = list(islice(requests(arguments.file), arguments.papers * len(FORMS)))
    with open_index(arguments.index) as plain:
        papers = plain.papers({paper_id for _, paper_id, _ in asked})
        asked += [("title", paper.id, paper.title) for paper in papers.values()]
        # As plain words: a title may look like a filter.
        queries = [ParsedQuery(" ".join(text.split())) for _, _, text in asked]
        written = Written(list(dict.fromkeys(query.text for query in queries)), Terminal())
        before = [plain.query(query) for query in queries]
    with open_index(arguments.index, expander=written) as expanded:
        after = [expanded.query(query) for query in queries]
    values = np.array(
        [
            [reciprocal_rank(hits, paper_id) for hits in (without, with_answer)]
            for without, with_answer, (_, paper_id, _) in zip(before, after, asked, strict=True)
        ]
    )
    print(f"{'MRR@10':14}{'':>5}  {'query':22}  {'query --expand':22}  difference")
    for kind, count, *estimates in paired_rows([kind for kind, _, _ in asked], values):
        print(f"{kind:14}{count:5,}  " + "  ".join(map(show, estimates)))
    print(f"for {queries[0].text!r} was written: {written.expand(queries[0].text)}")


if __name__ == "__main__":
    main()
