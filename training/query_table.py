"""Train the query table of an encoder without layers (`encoders.query_table`).

Papers keep the vectors that an index has. Each token learns what to add to the vector of a query
that has it, by a softmax over all training papers of the index: the one that was asked for should
have all of it. Half as many parts of papers as requests (titles, halves of abstracts, sentences,
a few words) keep the table from forgetting that queries may also be in a paper's own words.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from astrosearch.encoders.query_table import QueryTable, places_of
from astrosearch.encoders.static import StaticEncoder
from astrosearch.encoders.vectors import Vectors
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.reader import Index
from astrosearch.report import Reporter
from training.contrastive.pairs import PairSampler
from training.contrastive.requests import Request, digest, read_requests
from training.disk import begin, locked, out_of_space, rename, save_checkpoint
from training.ranking import samples
from training.ranking.fit import Row, paired_rows

REQUESTS, PARTS = 512, 256
"""Queries in a step: requests, and parts of papers."""

TEMPERATURE = 0.05
"""Cosines are divided by it in the loss."""

DROPOUT = 0.1
"""The share of a query's tokens whose shift does not count in a step."""

LEARNING_RATE, WARMUP, LAST_SHARE = 2e-3, 30, 0.05
"""Of AdamW at its peak, after so many steps; the share of it that is left at the end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does; a run goes on only under the same."""

    fold: int = 0
    """The fifth of the papers that is not trained on, beside those that are held out for good."""
    epochs: int = 4
    """How often each request comes."""
    seed: int = 0


def train(
    index: Index,
    encoder: StaticEncoder,
    requests: Path,
    out: Path,
    settings: Settings,
    reporter: Reporter,
) -> list[Row]:
    """Write the table to `out`. A run that was stopped goes on after its last whole epoch.

    Args:
        encoder: of the index.

    Returns:
        MRR@10 of requests for papers of the fold among all of these, by vectors alone, without the
        table and with it; none for fold 0, whose papers have no requests.

    Raises:
        InputError: if an unfinished run has other settings or requests, no request is for a
            training paper, or none is for a paper of the fold.
    """
    with out_of_space(out), locked(out) as work:
        judged = samples.requests_of(requests, settings.fold) if settings.fold else []
        run = _Run(index, encoder, requests, settings, reporter)
        record = {**asdict(settings), "index": index.folder.name, "requests": run.digest}
        begun, checkpoint = begin(work, record), work / "checkpoint.pt"
        if checkpoint.exists():
            run.restore(torch.load(checkpoint))
        for epoch in range(run.epochs_done, settings.epochs):
            run.epoch(epoch, reporter)
            save_checkpoint(run.state(), checkpoint)
        table = run.table()
        rows = _judged(index, encoder, judged, settings.fold, table) if judged else []
        table.save(work / out.name)
        for rest in (begun, checkpoint):
            rest.unlink()
        rename(work / out.name, out)
        return rows


class _Run:
    """A table that is trained."""

    def __init__(
        self,
        index: Index,
        encoder: StaticEncoder,
        requests: Path,
        settings: Settings,
        reporter: Reporter,
    ) -> None:
        self._settings, self._encoder = settings, encoder
        rows = sorted(
            row
            for paper_id, row in index.corpus.ids().items()
            if not is_held_out(paper_id) and not is_held_out(paper_id, settings.fold)
        )
        self._place = {row: place for place, row in enumerate(rows)}
        vectors = index.vectors[np.array(rows)].astype(np.float32)
        self._papers = torch.from_numpy(vectors).bfloat16()
        self._requests = [
            request
            for request in read_requests([requests], index.corpus, reporter, settings.fold)
            if request.row in self._place  # of the others, some are held out for good
        ]
        if not self._requests:
            raise InputError(f"{requests}: no request is for a training paper of the index")
        self.digest = digest(self._requests)
        self._parts = PairSampler(index.corpus, {}, settings.seed, fold=settings.fold)
        self._steps = -(-len(self._requests) // REQUESTS)
        self.epochs_done = 0
        bags = encoder.token_bags([request.text for request in self._requests])
        self._tokens = np.unique(np.concatenate([bag.tokens for bag in bags]))
        shape = len(self._tokens), index.manifest.dimension
        self._shifts = torch.zeros(shape, requires_grad=True)
        self._optimizer = torch.optim.AdamW([self._shifts], lr=LEARNING_RATE, weight_decay=0.0)

    def epoch(self, epoch: int, reporter: Reporter) -> None:
        order = np.random.default_rng([self._settings.seed, epoch])
        shuffled = order.permutation(len(self._requests))
        total = self._steps * self._settings.epochs
        for start in range(0, len(shuffled), REQUESTS):
            step = epoch * self._steps + start // REQUESTS
            share = min(1.0, (step + 1) / WARMUP) * max(LAST_SHARE, 1 - step / total)
            self._optimizer.param_groups[0]["lr"] = LEARNING_RATE * share
            chosen = [self._requests[i] for i in shuffled[start : start + REQUESTS]]
            loss = self._loss([*chosen, *self._drawn(step)], step)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            reporter.progress("Training", step + 1, total, f"loss {loss.item():.3f}")
        self.epochs_done = epoch + 1

    def _drawn(self, step: int) -> list[Request]:
        """Parts of papers, as requests for these."""
        numbers = range(step * PARTS, (step + 1) * PARTS)
        pairs = [self._parts.pair(number) for number in numbers]
        return [Request(pair.rows[0], pair.query) for pair in pairs if pair.rows[0] in self._place]

    def _loss(self, asked: Sequence[Request], step: int) -> torch.Tensor:
        encoded = self._encoder.encode_counted([request.text for request in asked])
        texts = self._encoder.weigh(encoded.bags or [])
        places, has_shift = places_of(self._tokens, texts.tokens)
        draw = np.random.default_rng([self._settings.seed, 1, step])
        has_shift &= draw.random(len(places)) >= DROPOUT
        shifts = torch.nn.functional.embedding_bag(
            torch.from_numpy(places),
            self._shifts,
            torch.from_numpy(texts.starts),
            mode="sum",
            per_sample_weights=torch.from_numpy(texts.numbers * has_shift),
        )
        vectors = torch.nn.functional.normalize(torch.from_numpy(encoded.vectors) + shifts, dim=1)
        cosines = (vectors.bfloat16() @ self._papers.T).float()
        papers = torch.tensor([self._place[request.row] for request in asked])
        return torch.nn.functional.cross_entropy(cosines / TEMPERATURE, papers)

    def table(self) -> QueryTable:
        return QueryTable.of(self._tokens, self._shifts.detach().numpy())

    def state(self) -> dict[str, object]:
        return {
            "shifts": self._shifts.detach(),
            "optimizer": self._optimizer.state_dict(),
            "epochs": self.epochs_done,
        }

    def restore(self, state: dict[str, object]) -> None:
        with torch.no_grad():
            self._shifts.copy_(state["shifts"])  # type: ignore[arg-type]
        self._optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self.epochs_done = int(state["epochs"])  # type: ignore[call-overload]


def _judged(
    index: Index,
    encoder: StaticEncoder,
    requests: Sequence[samples.Request],
    fold: int,
    table: QueryTable,
) -> list[Row]:
    """MRR@10 without the table and with it, as `train` returns it."""
    ids = index.corpus.ids()
    rows = [row for paper_id, row in ids.items() if is_held_out(paper_id, fold)]
    papers = index.vectors[np.array(rows)].astype(np.float32)
    place = {row: number for number, row in enumerate(rows)}
    asked = [each for each in requests if each.id in ids]
    encoded = encoder.encode_counted([each.text for each in asked])
    shifted = table(encoded.vectors, encoder.weigh(encoded.bags or []))
    targets = np.array([place[ids[each.id]] for each in asked])
    values = [_reciprocal_ranks(each, papers, targets) for each in (encoded.vectors, shifted)]
    return paired_rows([each.form for each in asked], np.stack(values, axis=1))


def _reciprocal_ranks(
    queries: Vectors, papers: Vectors, targets: NDArray[np.int64], k: int = 10
) -> NDArray[np.float64]:
    """(n,) 1 over the rank of each query's paper by cosine, 0 beyond `k`."""
    ranks = []
    for vector, target in zip(queries, targets, strict=True):
        cosines = papers @ vector
        ranks.append(int((cosines >= cosines[target]).sum()))
    return np.array([1 / rank if rank <= k else 0.0 for rank in ranks])
