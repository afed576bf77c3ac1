"""The training loop: batches of pairs, cached gradients, checkpoints of what is trained."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from astrosearch.encoders.transformer import padded, token_batches
from astrosearch.report import Reporter
from training.contrastive.late_interaction import late_interaction_loss
from training.contrastive.model import (
    EmbeddingModel,
    TokenStates,
    autocast,
    pass_tokens,
    tokens_of,
)
from training.contrastive.objective import back_propagate, encode_chunks, info_nce
from training.contrastive.pairs import Pair, PairSampler, mask_query
from training.contrastive.teacher import Teacher, distillation
from training.run import (
    WHOLE,
    CheckpointPolicy,
    RunLog,
    newest_checkpoint,
    out_of_memory,
    require_checkpoint_space,
    step_of,
)
from training.settings import ContrastSettings

TRAINED = "trained.safetensors"
"""In a checkpoint: the weights that are trained, and nothing else."""

STATE = "state.pt"
"""In a checkpoint: the optimiser's state, and how many tokens were trained on."""

KEPT_CHECKPOINTS = 2

TOKEN_QUERIES = 128
"""Queries of a batch that are compared with documents token by token. All would take twice the
time."""

LAST_SHARE = 0.05
"""Of the peak learning rate, at the last step."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run learns from."""

    sampler: PairSampler
    held_out: PairSampler
    """Pairs of held-out papers, to measure the loss on."""
    negatives: NDArray[np.int32] | None
    """(papers, n) rows of each paper's hard negatives, if there are any."""
    teacher: Teacher | None


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some pairs as token ids."""

    pairs: list[Pair]
    ids: list[list[int]]
    """Of the queries, then the documents, then the hard negatives."""
    excluded: NDArray[np.bool_]
    """(queries, documents and hard negatives): which are not negatives of each other."""


def steps_of(settings: ContrastSettings, papers: int) -> int:
    """Number of optimiser steps in a run on this many training papers."""
    pairs = math.ceil(settings.epochs * papers)
    if settings.max_pairs is not None:
        pairs = min(pairs, settings.max_pairs)
    return max(1, pairs // settings.batch)


def learning_rate_share(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate for a step, counted from 0.

    A linear warm-up from 0 and a cosine down to `LAST_SHARE`.
    """
    if step < warmup:
        return step / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    return cosine * (1 - LAST_SHARE) + LAST_SHARE


class ContrastTrainer:
    """Trains an `EmbeddingModel`; can be killed at any moment and goes on in `work`."""

    def __init__(
        self,
        settings: ContrastSettings,
        model: EmbeddingModel,
        data: TrainingData,
        folder: Path,
        work: Path,
        device: torch.device,
    ) -> None:
        """
        Args:
            folder: where the base model is, for its tokenizer.
            work: where the run is written; its lock is held and `open_run` has been called.
        """
        self._settings = settings
        self._model = model
        self._data = data
        self._work = work
        self._device = device
        self._query_tokens = tokens_of(settings, folder, settings.query_tokens)
        self._document_tokens = tokens_of(settings, folder, settings.document_tokens)
        self._optimizer = _optimizer(model, settings)
        self._peaks = [group["lr"] for group in self._optimizer.param_groups]
        self._steps = steps_of(settings, len(data.sampler))
        self._step = 0
        """Optimiser steps done."""
        self._tokens = 0
        """Tokens trained on."""

    def train(self, policy: CheckpointPolicy, reporter: Reporter) -> bool:
        """Begin the run, or go on from its newest checkpoint.

        Returns:
            Whether all steps are done; False if the run was paused.

        Raises:
            OutOfMemory: if memory does not suffice.
            Diverged: if the loss is infinite or not a number.
        """
        log = RunLog(self._work, self._steps, policy, reporter, "loss")
        checkpoint = newest_checkpoint(self._work)
        if checkpoint is not None:
            self._load(checkpoint)
            reporter.notify(f"Going on from step {self._step:,}")
        log.begin(self._step, self._tokens)
        with out_of_memory(self._device):
            held_out = self._held_out_batch()
            if held_out is not None and checkpoint is None:
                log.add_held_out(0, 0, self._evaluate(held_out))
            while self._step < self._steps:
                self._train_step(log)
                if held_out is not None and self._step % self._evaluation_steps == 0:
                    log.add_held_out(self._step, self._tokens, self._evaluate(held_out))
                save, pause = log.is_due()
                if save and self._step < self._steps:
                    self._save()
                    log.saved()
                    if pause:
                        return False
        return True

    @property
    def _evaluation_steps(self) -> int:
        return max(1, round(self._steps / max(1, self._settings.evaluations)))

    def _train_step(self, log: RunLog) -> None:
        settings, step = self._settings, self._step
        share = learning_rate_share(step, self._steps, round(settings.warmup_share * self._steps))
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * share
        first = step * settings.batch
        pairs = [self._data.sampler.pair(first + number) for number in range(settings.batch)]
        loss = self._back_propagate(self._batch(pairs, self._hard_negatives(pairs)))
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._step += 1
        log.add_step(
            self._step,
            self._tokens,
            loss=loss.item(),
            learning_rate=self._optimizer.param_groups[0]["lr"],
            gradient_norm=norm.item(),
        )

    def _batch(self, pairs: list[Pair], negatives: list[int]) -> _Batch:
        """
        Args:
            negatives: rows of the papers that are hard negatives.
        """
        sampler = self._data.sampler
        documents = [pair.document for pair in pairs]
        documents += [paper.abstract for paper in sampler.corpus.papers(negatives)]
        queries = self._query_tokens.ids([pair.query for pair in pairs])
        rows = [pair.rows for pair in pairs]
        document_rows = [row for _, row in rows] + negatives
        return _Batch(
            pairs,
            queries + self._document_tokens.ids(documents),
            sampler.false_negative_mask(rows, document_rows),
        )

    def _hard_negatives(self, pairs: list[Pair]) -> list[int]:
        """Rows of the papers that are added to a batch as hard negatives."""
        rows: list[int] = []
        if self._data.negatives is None:
            return rows
        for number, pair in enumerate(pairs):
            row = pair.rows[1]
            mined = self._data.negatives[row]
            mined = mined[mined >= 0]
            if len(mined):
                draw = np.random.default_rng([self._settings.seed, 3, row, number])
                size = min(len(mined), self._settings.hard_negatives)
                rows += draw.choice(mined, size=size, replace=False).tolist()
        return rows

    def _back_propagate(self, batch: _Batch) -> torch.Tensor:
        """Add the gradients of a batch; the loss."""
        self._model.train()
        ids, unmasked = self._mask_queries(batch)
        tokens = sum(map(len, ids))
        self._tokens += tokens
        excluded = torch.from_numpy(batch.excluded).to(self._device)
        count = len(batch.pairs)
        places: list[int] = []
        if self._data.teacher:
            places, cosines = self._data.teacher.soft_labels(batch.pairs, unmasked)
            labels = torch.from_numpy(cosines).to(self._device)

        known = self._token_states(ids) if self._settings.spec.is_static else None

        def loss_of(vectors: torch.Tensor) -> torch.Tensor:
            loss = self._loss(vectors, excluded)
            if known and self._settings.token_share:
                late = self._late_interaction_loss(known, ids, vectors, excluded)
                loss = torch.lerp(loss, late, self._settings.token_share)
            if not places:
                return loss
            queries, documents = vectors[:count][places], vectors[count:][places]
            scores = queries @ documents.T / self._settings.temperature
            return torch.lerp(loss, distillation(scores, labels), self._settings.teacher_share)

        return back_propagate(
            lambda chunk: self._encode([ids[i] for i in chunk], known),
            self._chunks(ids),
            loss_of,
            cached=tokens > self._settings.memory_tokens and self._settings.layers != 0,
        )

    def _token_states(self, ids: list[list[int]]) -> TokenStates:
        """Of all tokens of a batch, so that each is computed once."""
        tokens = torch.from_numpy(np.concatenate([np.asarray(text) for text in ids]))
        with autocast(self._settings, self._device):
            return self._model.token_states(tokens.to(self._device))

    def _late_interaction_loss(
        self,
        known: TokenStates,
        ids: list[list[int]],
        vectors: torch.Tensor,
        excluded: torch.Tensor,
    ) -> torch.Tensor:
        """Of some of a batch's queries, drawn at random."""
        settings, count = self._settings, excluded.shape[0]
        draw = np.random.default_rng([settings.seed, 6, self._step])
        chosen = draw.choice(count, size=min(count, TOKEN_QUERIES), replace=False)
        return late_interaction_loss(
            self._model, known, ids, vectors, excluded, chosen, settings.token_temperature
        )

    def _mask_queries(self, batch: _Batch) -> tuple[list[list[int]], list[bool]]:
        """The batch's token lists with some queries masked, and which queries are not."""
        ids, unmasked = list(batch.ids), []
        for number, pair in enumerate(batch.pairs):
            draw = np.random.default_rng([self._settings.seed, 4, *pair.rows, self._step])
            query = None
            if pair.kind != "half" and draw.random() < self._settings.masked:
                query = mask_query(ids[number], ids[len(batch.pairs) + number], draw)
            unmasked.append(query is None)
            ids[number] = query or ids[number]
        return ids, unmasked

    def _held_out_batch(self) -> _Batch | None:
        """Pairs of held-out papers, to measure the loss on; None if it is not measured."""
        sampler, settings = self._data.held_out, self._settings
        if not settings.evaluations or len(sampler) < 2:
            return None
        count = min(len(sampler), settings.evaluation_pairs)
        pairs = [sampler.pair(number) for number in range(count)]
        return self._batch(pairs, self._hard_negatives(pairs))

    @torch.no_grad()
    def _evaluate(self, batch: _Batch) -> float:
        """The loss of a batch, nothing of it masked."""
        self._model.eval()
        vectors = encode_chunks(
            lambda chunk: self._encode([batch.ids[i] for i in chunk]), self._chunks(batch.ids)
        )
        return self._loss(vectors, torch.from_numpy(batch.excluded).to(self._device)).item()

    def _chunks(self, ids: list[list[int]]) -> list[list[int]]:
        return list(token_batches([len(text) for text in ids], pass_tokens(self._settings)))

    def _encode(self, ids: list[list[int]], known: TokenStates | None = None) -> torch.Tensor:
        with autocast(self._settings, self._device):
            vectors: torch.Tensor = self._model(*padded(ids, self._device), known)
        return vectors.float()

    def _loss(self, vectors: torch.Tensor, excluded: torch.Tensor) -> torch.Tensor:
        count = excluded.shape[0]
        nested = [width for width in self._settings.nested if width < vectors.shape[1]]
        temperature = self._settings.temperature
        return info_nce(vectors[:count], vectors[count:], excluded, temperature, nested)

    def _save(self) -> None:
        """Write a checkpoint, and remove all but the newest two."""
        require_checkpoint_space(self._work, self._model)
        folder = self._work / f"checkpoint-{self._step}"
        folder.mkdir()
        save_file(self._model.trained(), folder / TRAINED)
        state = {"tokens": self._tokens, "optimizer": self._optimizer.state_dict()}
        torch.save(state, folder / STATE)
        (folder / WHOLE).touch()
        checkpoints = sorted(self._work.glob("checkpoint-*"), key=step_of)
        for old in checkpoints[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def _load(self, checkpoint: Path) -> None:
        parameters = dict(self._model.named_parameters())
        for name, weight in load_file(checkpoint / TRAINED).items():
            parameters[name].data.copy_(weight)
        state = torch.load(checkpoint / STATE, map_location=self._device, weights_only=True)
        self._optimizer.load_state_dict(state["optimizer"])
        self._step, self._tokens = step_of(checkpoint), state["tokens"]


def _optimizer(model: EmbeddingModel, settings: ContrastSettings) -> torch.optim.Optimizer:
    """AdamW with a learning rate each for the linear map, LoRA and the token weights."""
    groups = [
        {"params": [model.projection], "lr": settings.head_learning_rate},
        {
            "params": [p for p in model.body.parameters() if p.requires_grad],
            "lr": settings.learning_rate,
        },
    ]
    if model.log_weights is not None:
        groups.append({"params": [model.log_weights], "lr": settings.weight_learning_rate})
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
