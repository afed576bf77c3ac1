"""By how much `cite` gains from what other papers cite, cross-validated over fifths.

Every paper of `citations.jsonl` asks among all papers of an index whose encoder has seen no
citation. An order is fitted on the papers of the other four fifths, and the graph has what these
cite. It is the order of `train rank --task cite`: the same signals, with and without a graph.

    python -m tests.benchmarks.citing_folds INDEX citations.jsonl

The index must have these citations: `astrosearch citations import citations.jsonl -i INDEX`.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astrosearch import open_index
from astrosearch.citations.opened import graph_of
from astrosearch.cli.console import Terminal
from astrosearch.evaluation.bootstrap import interval, resampled_means
from astrosearch.evaluation.qrels import read_judgements
from astrosearch.evaluation.split import HELD_OUT_SHARE, is_held_out
from astrosearch.search.citing import citing_candidates
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.ranker import Weights
from astrosearch.search.searcher import query_of_papers
from astrosearch.search.signals import author_keys
from training.ranking.fit import fit
from training.ranking.samples import Sample, sample


class Asking(NamedTuple):
    """A paper that asks, without and with a graph."""

    fold: int
    samples: tuple[Sample, Sample]
    own: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    """Which candidates share an author with it."""
    others: int
    """How many of the papers that it cites do not."""


def gather(index_name: str, citations: Path) -> list[Asking]:
    asking = []
    reporter = Terminal()
    with open_index(index_name) as searcher:
        index, encoder = searcher.index, searcher.encoder
        graph = graph_of(index)
        if graph is None:
            raise SystemExit(f"index {index_name} has no citations")
        ids = index.corpus.ids()
        graphs = [
            graph.without(graph.find([each for each in ids if is_held_out(each, fold)]))
            for fold in range(HELD_OUT_SHARE)
        ]
        judged = [each for each in read_judgements(citations) if each.id in ids]
        for number, judgement in enumerate(judged):
            reporter.progress("Signals", number, len(judged))
            paper_id = str(judgement.id)
            relevant = {*judgement.relevant} & ids.keys() - {paper_id}
            fold = next(fold for fold in range(HELD_OUT_SHARE) if is_held_out(paper_id, fold))
            papers = LocalIndex(index)
            query = query_of_papers(papers, [paper_id], encoder)
            keys = set(author_keys(query.papers[0]))
            samples, own = [], []
            for each in (None, graphs[fold]):
                papers.graph = each
                candidates = citing_candidates(papers, query)
                samples.append(sample("cite", paper_id, papers, query, candidates, relevant))
                found = papers.papers(samples[-1].signals.ids)
                own.append(np.array([not keys.isdisjoint(author_keys(paper)) for paper in found]))
            cited = papers.papers(sorted(relevant))
            others = sum(keys.isdisjoint(author_keys(paper)) for paper in cited)
            asking.append(Asking(fold, (samples[0], samples[1]), (own[0], own[1]), others))
        reporter.progress("Signals", 1, 1)
    return asking


def ndcg(relevant: NDArray[np.bool_], count: int, k: int = 10) -> float:
    ideal = (1 / np.log2(2 + np.arange(min(k, count)))).sum()
    return float((1 / np.log2(2 + np.flatnonzero(relevant[:k]))).sum() / ideal)


def judged(asking: Asking, which: int, weights: Weights) -> tuple[float, float]:
    """nDCG@10 of an order, and without papers that share an author (NaN if all do)."""
    sample, own = asking.samples[which], asking.own[which]
    order = np.argsort(-weights.scores(sample.signals), kind="stable")
    relevant = sample.relevant[order]
    value = ndcg(relevant, sample.all_relevant)
    return value, ndcg(relevant[~own[order]], asking.others) if asking.others else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("citations", type=Path)
    arguments = parser.parse_args()
    asking = gather(arguments.index, arguments.citations)
    values = np.zeros((len(asking), 2, 2))
    for fold in range(HELD_OUT_SHARE):
        samples = [sample for each in asking if each.fold != fold for sample in each.samples]
        weights = fit(samples, "cite", ("cite",)).weights
        for number, each in enumerate(asking):
            if each.fold == fold:
                for which in range(2):
                    values[number, :, which] = judged(each, which, weights)
    print(f"{'':36}{'papers':>7}  {'without':22}  {'with citations':22}  difference")
    for name, place in (("all that they cite", 0), ("by no author of theirs", 1)):
        line = values[:, place]
        line = line[~np.isnan(line).any(axis=1)]
        line = np.concatenate([line, line[:, 1:] - line[:, :1]], axis=1)
        means = resampled_means(line, 0)
        cells = [interval(line[:, each].mean(), means[:, each]) for each in range(3)]
        shown = "  ".join(f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in cells)
        print(f"{name:36}{len(line):7,}  {shown}")


if __name__ == "__main__":
    main()
