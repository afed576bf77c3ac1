"""Continuing an abstract, against `transformers.generate` with the same model, prompt and number of
tokens; and the time of the checks at the end.

    python -m tests.benchmarks.complete INDEX --tokens 200
"""

import argparse
import time

import torch

from astrosearch.completion.attribution import calibrated_thresholds
from astrosearch.completion.complete import complete
from astrosearch.completion.generators.base import GeneratorSpec, Sampling
from astrosearch.completion.generators.loading import load_generator
from astrosearch.completion.generators.local import LocalGenerator
from astrosearch.completion.grounding import GroundingChecker
from astrosearch.completion.sources import find_sources
from astrosearch.report import SILENT
from astrosearch.search.searcher import open_index

BEGINNING = "The Magellanic Stream is"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    searcher = open_index(arguments.index)
    generator = load_generator(GeneratorSpec(), SILENT)
    assert isinstance(generator, LocalGenerator)
    eos = generator.model.vocabulary.eos
    start = time.perf_counter()
    sources = find_sources(searcher, BEGINNING, 5)
    thresholds = calibrated_thresholds(searcher)
    papers = [source.paper for source in sources]
    checker = GroundingChecker(searcher.encoder, thresholds, BEGINNING, papers)
    print(f"sources and thresholds: {time.perf_counter() - start:.2f} s")
    abstracts = [source.paper.abstract for source in sources]
    prompt = torch.tensor([generator.prompt(BEGINNING, abstracts)])
    print(
        f"{len(sources)} sources, a prompt of {prompt.shape[1]:,} tokens, {generator.model.dtype}"
    )
    sampling = Sampling(max_new_tokens=arguments.tokens)
    ours, theirs = [], []
    for number in range(arguments.rounds):
        generator._prompt_state = None  # each round reads the prompt anew, as the peer does
        first: list[float] = []
        start = time.perf_counter()
        completion = complete(
            generator,
            checker,
            BEGINNING,
            sources,
            sampling,
            on_text=lambda piece, start=start, first=first: first.append(  # type: ignore[misc]
                time.perf_counter() - start
            ),
        )
        checks = time.perf_counter() - start - completion.seconds
        ours.append(completion.stats.tokens / completion.seconds)
        start = time.perf_counter()
        torch.manual_seed(number)
        tokens = generator.model.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=True,
            temperature=sampling.temperature,
            top_k=0,
            min_new_tokens=completion.stats.tokens,
            max_new_tokens=completion.stats.tokens,
            pad_token_id=eos,
        )
        theirs.append((tokens.shape[1] - prompt.shape[1]) / (time.perf_counter() - start))
        print(
            f"{completion.stats.tokens} tokens: first after {first[0]:.2f} s, "
            f"{ours[-1]:.1f} tokens/s, checks {checks:.2f} s; "
            f"transformers.generate {theirs[-1]:.1f} tokens/s, ratio {ours[-1] / theirs[-1]:.2f}"
        )
    print(f"ratio of the best: {max(ours) / max(theirs):.2f}")


if __name__ == "__main__":
    main()
