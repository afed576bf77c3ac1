"""Train a cross-encoder: the first layers of a BERT, which read a query and a paper together.

The queries are requests. Each is searched for in an index, and the model learns to tell the paper
that was asked for from others among the first hits, by a softmax over them. What it adds to the
learnt order of hits is then fitted on requests for papers of one fold, which it has not seen.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from tokenizers import Tokenizer

from astrosearch.corpus.filters import Filters
from astrosearch.encoders.weights.locate import locate
from astrosearch.errors import InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.papers import Paper
from astrosearch.report import Reporter
from astrosearch.search.conditions import ALL, Among
from astrosearch.search.cross_encoder import (
    PAPER_TOKENS,
    QUERY_TOKENS,
    READ,
    CrossEncoder,
)
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.searcher import Searcher
from training.contrastive.requests import FORMS, request_lines
from training.disk import begin, locked, out_of_space, rename, save_checkpoint
from training.onnx_graph import cross_encoder_graph
from training.ranking.fit import Row, paired_rows
from training.ranking.logistic import logistic_regression

BASE = "minilm"
"""The BERT whose first layers are trained on (encoders.registry)."""

WARMUP = 200
"""Steps."""

LAST_SHARE = 0.05
"""Of the peak learning rate, at the last step."""

HEAD_RATE = 10.0
"""The head begins from nothing, so it learns faster by this factor."""

POSITIONS = 256
"""Position embeddings that are kept: more than a query and a paper have together."""

SAVE_EVERY = 200
"""Steps between two checkpoints."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does; a run goes on only under the same."""

    fold: int = 1
    """The fifth of the papers whose requests are not trained on."""
    layers: int = 2
    steps: int = 3600
    lists: int = 4
    """Queries in a step."""
    negatives: int = 7
    """Papers beside the one that was asked for, drawn from the first `READ` hits."""
    learning_rate: float = 1e-4
    judged: int = 700
    """Papers of the fold whose requests fit the mixture."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with what a search finds for it."""

    paper: str
    form: str
    text: str
    ids: list[str]
    """The first `READ` hits, best first."""
    chances: list[float]
    """What the learnt order gives them."""


def train(
    searcher: Searcher, requests: Path, out: Path, settings: Settings, reporter: Reporter
) -> list[Row]:
    """Make the folder of a cross-encoder that `search.cross_encoder` reads.

    Args:
        searcher: of an index whose encoder has seen no paper of the fold.

    Returns:
        MRR@10 of the learnt order, and with the cross-encoder, for each form of the requests for
        papers of the fold.
    """
    with out_of_space(out), locked(out) as work:
        begun = begin(work, {**asdict(settings), "index": searcher.name})
        asked = list(_searched(searcher, requests, settings, work, reporter))
        known = sorted({paper_id for each in asked for paper_id in (each.paper, *each.ids)})
        papers = searcher.papers(known)
        learnt = [each for each in asked if not is_held_out(each.paper, settings.fold)]
        judged = [each for each in asked if is_held_out(each.paper, settings.fold)]
        folder, _ = locate(BASE, reporter)
        torch.manual_seed(settings.seed)
        model = Model(folder, settings.layers)
        _fit(model, learnt, papers, settings, work, reporter)
        read = []
        for number, each in enumerate(judged):
            reporter.progress("Reading what the mixture is fitted on", number, len(judged))
            read.append(model.read(each, papers))
        mixture = _mixture(judged, read)
        rows = _rows(judged, read, mixture)
        result = work / "cross-encoder"
        result.mkdir(exist_ok=True)
        _write(model, folder, settings, mixture, result)
        for rest in (begun, work / "asked.jsonl", work / "checkpoint.pt"):
            rest.unlink(missing_ok=True)
        rename(result, out)
        return rows


def _searched(
    searcher: Searcher, requests: Path, settings: Settings, work: Path, reporter: Reporter
) -> Iterator[Asked]:
    """Requests with what is found for them, kept in `work`. Those for papers of the fold are
    sought among these papers."""
    kept = work / "asked.jsonl"
    if not kept.exists():
        lines = [
            (paper_id, dict(zip(FORMS, texts, strict=True)))
            for _, paper_id, texts in request_lines(requests)
            if not is_held_out(paper_id)
        ]
        known = searcher.papers_known([paper_id for paper_id, _ in lines])
        lines = [each for each in lines if each[0] in known]
        random.Random(settings.seed).shuffle(lines)
        of_fold = frozenset(
            paper.id
            for paper in searcher.papers_passing(Filters())
            if is_held_out(paper.id, settings.fold)
        )
        judged = [each for each in lines if is_held_out(each[0], settings.fold)]
        learnt = [each for each in lines if not is_held_out(each[0], settings.fold)]
        if not learnt or not judged:
            raise InputError(f"{requests}: requests for papers within and without the fold needed")
        wanted = [
            (paper_id, form, text)
            for number, (paper_id, texts) in enumerate(learnt)
            for form, text in texts.items()
            if form != "keywords" or number % 3 == 0  # which find their paper as it is
        ]
        random.Random(settings.seed).shuffle(wanted)
        jobs = [
            (paper_id, form, text, Among(of_fold))
            for paper_id, texts in judged[: settings.judged]
            for form, text in texts.items()
        ]
        jobs += [(*each, ALL) for each in wanted[: settings.steps * settings.lists]]
        with kept.with_suffix(".partial").open("wb") as stream:
            for number, (paper_id, form, text, among) in enumerate(jobs):
                reporter.progress("Searching", number, len(jobs))
                [answer] = searcher.answers([ParsedQuery(text)], READ, among=among)
                ids = [hit.paper.id for hit in answer.hits]
                chances = [hit.score for hit in answer.hits]
                if len(ids) > 1:
                    asked = Asked(paper_id, form, text, ids, chances)
                    stream.write(orjson.dumps(asdict(asked)) + b"\n")
        kept.with_suffix(".partial").replace(kept)
    for line in kept.read_bytes().splitlines():
        yield Asked(**orjson.loads(line))


def refitted(
    searcher: Searcher, requests: Path, folder: Path, reporter: Reporter
) -> tuple[bytes, list[Row]]:
    """The `config.json` of a cross-encoder with its mixture fitted anew, on requests that are put
    to a whole index, and the rows that `train` returns.

    Args:
        searcher: of an index whose encoder has not trained on the requests.
        folder: of the cross-encoder, which has not seen them either.
    """
    reader = CrossEncoder(folder)
    asked, read = [], []
    lines = [
        (paper_id, form, text)
        for _, paper_id, texts in request_lines(requests)
        for form, text in zip(FORMS, texts, strict=True)
    ]
    for number, (paper_id, form, text) in enumerate(lines):
        reporter.progress("Reading", number, len(lines))
        [answer] = searcher.answers([ParsedQuery(text)], READ)
        ids = [hit.paper.id for hit in answer.hits]
        if len(ids) > 1:
            chances = [hit.score for hit in answer.hits]
            asked.append(Asked(paper_id, form, text, ids, chances))
            read.append(reader.scores(text, [hit.paper for hit in answer.hits]).astype(np.float64))
    reporter.progress("Reading", len(lines), len(lines))
    if not any(each.paper in each.ids for each in asked):
        raise InputError(f"{requests}: no request finds its paper in index {searcher.name}")
    mixture = _mixture(asked, read)
    record = orjson.loads((folder / "config.json").read_bytes())
    record["mixture"] = mixture
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(record, option=options), _rows(asked, read, mixture)


class Model(torch.nn.Module):
    """The first layers of a BERT, and a head over [CLS] and the means of both texts."""

    def __init__(self, folder: Path, layers: int) -> None:
        from transformers import AutoModel

        super().__init__()
        self.body: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
        if not 0 < layers <= len(self.body.encoder.layer):
            raise InputError(f"{BASE} has {len(self.body.encoder.layer)} layers, not {layers}")
        self.body.encoder.layer = self.body.encoder.layer[:layers]
        width = self.body.config.hidden_size
        self.hidden = torch.nn.Linear(3 * width, width)
        self.output = torch.nn.Linear(width, 1)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._ids: dict[str, list[int]] = {}

    def forward(self, pairs: Sequence[tuple[str, Paper]]) -> torch.Tensor:
        """(n,) scores of n pairs of a query and a paper."""
        first, last = map(self._tokenizer.token_to_id, ("[CLS]", "[SEP]"))
        rows = []
        for query, paper in pairs:
            asked = self._tokenizer.encode(query, add_special_tokens=False).ids[:QUERY_TOKENS]
            rows.append(([first, *asked, last], [*self._paper(paper), last]))
        longest = max(len(before) + len(behind) for before, behind in rows)
        ids, is_paper, is_query = (
            torch.zeros((len(rows), longest), dtype=torch.long) for _ in range(3)
        )
        for number, (before, behind) in enumerate(rows):
            end = len(before) + len(behind)
            ids[number, :end] = torch.tensor([*before, *behind])
            is_query[number, : len(before)] = 1
            is_paper[number, len(before) : end] = 1
        mask = is_query + is_paper
        states = self.body(
            input_ids=ids, token_type_ids=is_paper, attention_mask=mask
        ).last_hidden_state
        means = [
            (states * part[..., None]).sum(1) / part.sum(1, keepdim=True)
            for part in (is_query, is_paper)
        ]
        pooled = torch.cat([states[:, 0], *means], dim=1)
        scores: torch.Tensor = self.output(torch.tanh(self.hidden(pooled))).squeeze(1)
        return scores.float()

    @torch.no_grad()
    def read(self, asked: Asked, papers: dict[str, Paper]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(hits,) scores of what a request finds."""
        with torch.autocast("cpu", torch.bfloat16):
            scores: torch.Tensor = self([(asked.text, papers[paper]) for paper in asked.ids])
        return np.asarray(scores.numpy(), dtype=np.float64)

    def _paper(self, paper: Paper) -> list[int]:
        if paper.id not in self._ids:
            text = f"{paper.title}. {paper.abstract}"
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            self._ids[paper.id] = ids[:PAPER_TOKENS]
        return self._ids[paper.id]


def _fit(
    model: Model,
    asked: list[Asked],
    papers: dict[str, Paper],
    settings: Settings,
    work: Path,
    reporter: Reporter,
) -> None:
    """Train `model`, or go on with it from the checkpoint in `work`."""
    random.Random(settings.seed).shuffle(asked)
    rates = [settings.learning_rate, HEAD_RATE * settings.learning_rate]
    head = [*model.hidden.parameters(), *model.output.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": model.body.parameters()}, {"params": head}], weight_decay=0.01
    )
    checkpoint = work / "checkpoint.pt"
    begin = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        begin = state["step"]
    everything = sorted(papers)
    for step in range(begin, settings.steps):
        share = min(1.0, step / WARMUP) * max(LAST_SHARE, 1 - step / settings.steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        draw = random.Random(f"{settings.seed} {step}")
        pairs = []
        for place in range(step * settings.lists, (step + 1) * settings.lists):
            each = asked[place % len(asked)]
            others = [paper_id for paper_id in each.ids if paper_id != each.paper]
            others = draw.sample(others, min(settings.negatives, len(others)))
            while len(others) < settings.negatives:
                others.append(draw.choice(everything))
            pairs += [(each.text, papers[paper_id]) for paper_id in (each.paper, *others)]
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(pairs).view(settings.lists, -1)
        target = torch.zeros(settings.lists, dtype=torch.long)
        loss = torch.nn.functional.cross_entropy(scores, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        reporter.progress("Training", step + 1, settings.steps, f"loss {loss.item():.3f}")
        if (step + 1) % SAVE_EVERY == 0:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
            }
            save_checkpoint(state, checkpoint)


def _log_odds(chances: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    clipped = np.clip(np.array(chances, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def _mixture(
    judged: Sequence[Asked], read: Sequence[np.ndarray[Any, np.dtype[np.float64]]]
) -> tuple[float, float, float]:
    """`CrossEncoder.mixture`. How much the reading counts is fitted listwise, as it was trained:
    its scores of two requests cannot be compared. What turns the sum into a chance is a logistic
    regression."""
    inputs = [_inputs(each.chances, scores) for each, scores in zip(judged, read, strict=True)]
    relevant = [np.array(each.ids) == each.paper for each in judged]
    lists = [
        (torch.tensor(each), int(np.flatnonzero(is_relevant)[0]))
        for each, is_relevant in zip(inputs, relevant, strict=True)
        if is_relevant.any()
    ]
    weights = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        losses = [-torch.log_softmax(each @ weights, 0)[place] for each, place in lists]
        value = torch.stack(losses).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    of_order, of_text = weights.tolist()
    return _as_chance((of_order, of_text), inputs, relevant)


def _as_chance(
    weights: tuple[float, float],
    inputs: Sequence[np.ndarray[Any, np.dtype[np.float64]]],
    relevant: Sequence[np.ndarray[Any, np.dtype[np.bool_]]],
) -> tuple[float, float, float]:
    """The mixture of two weights whose sum is a chance; the order that they give stays."""
    sums = np.concatenate(inputs) @ weights
    columns = np.stack([sums, np.ones(len(sums))], axis=1)
    scale, one = logistic_regression(columns, np.concatenate(relevant)).tolist()
    first, second, third = (
        float(f"{value:.4g}") for value in (scale * weights[0], scale * weights[1], one)
    )
    return first, second, third


def _inputs(
    chances: Sequence[float], scores: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(hits, 2) the log-odds of the learnt order, and how far a score is above the mean."""
    return np.stack([_log_odds(chances), scores - scores.mean()], axis=1)


def _rows(
    judged: Sequence[Asked],
    read: Sequence[np.ndarray[Any, np.dtype[np.float64]]],
    mixture: tuple[float, float, float],
) -> list[Row]:
    values = [
        [
            _reciprocal_rank(each, -np.arange(len(scores))),
            _reciprocal_rank(each, _inputs(each.chances, scores) @ mixture[:2]),
        ]
        for each, scores in zip(judged, read, strict=True)
    ]
    return paired_rows([each.form for each in judged], np.array(values))


def _reciprocal_rank(asked: Asked, scores: np.ndarray[Any, Any]) -> float:
    order = np.argsort(-scores, kind="stable")[:10]
    found = [rank for rank, place in enumerate(order) if asked.ids[place] == asked.paper]
    return 1 / (1 + found[0]) if found else 0.0


def _write(
    model: Model, base: Path, settings: Settings, mixture: tuple[float, float, float], out: Path
) -> None:
    weights = {
        name.removeprefix("body."): tensor.float().numpy()
        for name, tensor in model.state_dict().items()
    }
    positions = "embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][:POSITIONS]
    heads = model.body.config.num_attention_heads
    graph = cross_encoder_graph(weights, layers=settings.layers, heads=heads)
    (out / "model.onnx").write_bytes(graph)
    (out / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    record = {
        "base": BASE,
        "mixture": mixture,
        "settings": asdict(settings),
    }
    (out / "config.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")
