"""The training loop: transformers' Trainer with batches of pairs and cached gradients."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainingArguments

from astrosearch.encoders.hugging_face import quiet_transformers
from astrosearch.encoders.transformer import padded, token_batches
from training.contrastive.model import EmbeddingModel, autocast, pass_tokens, tokens_of
from training.contrastive.objective import back_propagate, encode_chunks, info_nce
from training.contrastive.pairs import Pair, PairSampler, mask_query
from training.contrastive.teacher import Teacher, distillation
from training.settings import ContrastSettings

TRAINED = "trained.safetensors"
"""In a checkpoint: the weights that are trained, and nothing else."""


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
class _Texts:
    """Token ids of a batch's texts, in a class in which accelerate does not look for tensors."""

    ids: list[list[int]]
    """Of the queries, then the documents, then the hard negatives."""
    pairs: list[Pair]


class _Pairs(torch.utils.data.Dataset[Pair]):
    """The first `count` pairs of a sampler."""

    def __init__(self, sampler: PairSampler, count: int) -> None:
        self._sampler, self._count = sampler, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Pair:
        if number >= self._count:
            raise IndexError(number)
        return self._sampler.pair(number)


def steps_of(settings: ContrastSettings, papers: int) -> int:
    """Number of optimiser steps in a run on this many training papers."""
    pairs = math.ceil(settings.epochs * papers)
    if settings.max_pairs is not None:
        pairs = min(pairs, settings.max_pairs)
    return max(1, pairs // settings.batch)


class ContrastTrainer(Trainer):
    """The Trainer with batches of pairs, cached gradients and small checkpoints."""

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
            work: where the run is written.
        """
        self._settings = settings
        self._model = model
        self._data = data
        self._query_tokens = tokens_of(settings, folder, settings.query_tokens)
        self._document_tokens = tokens_of(settings, folder, settings.document_tokens)
        steps = steps_of(settings, len(data.sampler))
        evaluates = bool(settings.evaluations and len(data.held_out) > 1)
        with quiet_transformers():
            arguments = TrainingArguments(
                output_dir=str(work),
                use_cpu=device.type == "cpu",
                max_steps=steps,
                per_device_train_batch_size=settings.batch,
                per_device_eval_batch_size=settings.evaluation_pairs,
                learning_rate=settings.learning_rate,
                lr_scheduler_type="cosine_with_min_lr",
                lr_scheduler_kwargs={"min_lr_rate": 0.05},
                warmup_steps=round(settings.warmup_share * steps),
                weight_decay=settings.weight_decay,
                max_grad_norm=settings.max_gradient_norm,
                bf16=settings.dtype == "bfloat16",
                seed=settings.seed,
                logging_steps=1,
                logging_nan_inf_filter=False,
                eval_strategy="steps" if evaluates else "no",
                eval_steps=max(1, round(steps / max(1, settings.evaluations))),
                eval_on_start=evaluates,
                prediction_loss_only=True,
                save_strategy="no",  # `training.run` says when
                save_total_limit=2,
                remove_unused_columns=False,
                dataloader_pin_memory=False,
                train_sampling_strategy="sequential",
                disable_tqdm=True,
                report_to="none",
                log_level="error",
            )
            held_out = min(len(data.held_out), settings.evaluation_pairs)
            super().__init__(
                model=model,
                args=arguments,
                data_collator=self._collate,
                train_dataset=_Pairs(data.sampler, steps * settings.batch),
                eval_dataset=_Pairs(data.held_out, held_out),
                optimizers=(_optimizer(model, settings), None),
            )

    def _collate(self, pairs: list[Pair]) -> dict[str, Any]:
        """Pairs to token lists, and which documents are no negatives of which queries."""
        documents = [pair.document for pair in pairs]
        negatives = self._hard_negatives(pairs)
        documents += [paper.abstract for paper in self._data.sampler.corpus.papers(negatives)]
        queries = self._query_tokens.ids([pair.query for pair in pairs])
        rows = [pair.rows for pair in pairs]
        document_rows = [row for _, row in rows] + negatives
        return {
            "texts": _Texts(queries + self._document_tokens.ids(documents), pairs),
            "excluded": self._data.sampler.false_negative_mask(rows, document_rows),
        }

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

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        model.train()
        pairs: list[Pair] = inputs["texts"].pairs
        ids, unmasked = self._mask_queries(inputs["texts"])
        tokens = sum(map(len, ids))
        self.state.num_input_tokens_seen += tokens
        excluded = torch.from_numpy(inputs["excluded"]).to(self.args.device)
        places: list[int] = []
        if self._data.teacher:
            places, cosines = self._data.teacher.soft_labels(pairs, unmasked)
            labels = torch.from_numpy(cosines).to(self.args.device)

        def loss_of(vectors: torch.Tensor) -> torch.Tensor:
            loss = self._loss(vectors, excluded)
            if not places:
                return loss
            queries, documents = vectors[: len(pairs)][places], vectors[len(pairs) :][places]
            scores = queries @ documents.T / self._settings.temperature
            return torch.lerp(loss, distillation(scores, labels), self._settings.teacher_share)

        return back_propagate(
            lambda chunk: self._encode(model, [ids[i] for i in chunk]),
            self._chunks(ids),
            loss_of,
            self.accelerator.backward,
            cached=tokens > self._settings.memory_tokens and self._settings.layers != 0,
        )

    def _mask_queries(self, texts: _Texts) -> tuple[list[list[int]], list[bool]]:
        """The batch's token lists with some queries masked, and which queries are not."""
        ids, unmasked = list(texts.ids), []
        for number, pair in enumerate(texts.pairs):
            draw = np.random.default_rng(
                [self._settings.seed, 4, *pair.rows, self.state.global_step]
            )
            query = None
            if pair.kind != "half" and draw.random() < self._settings.masked:
                query = mask_query(ids[number], ids[len(texts.pairs) + number], draw)
            unmasked.append(query is None)
            ids[number] = query or ids[number]
        return ids, unmasked

    def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        ids: list[list[int]] = inputs["texts"].ids
        excluded = torch.from_numpy(inputs["excluded"]).to(self.args.device)
        with torch.no_grad():
            vectors = encode_chunks(
                lambda chunk: self._encode(model, [ids[i] for i in chunk]), self._chunks(ids)
            )
            return self._loss(vectors, excluded), None, None

    def _chunks(self, ids: list[list[int]]) -> list[list[int]]:
        return list(token_batches([len(text) for text in ids], pass_tokens(self._settings)))

    def _encode(self, model: Any, ids: list[list[int]]) -> torch.Tensor:
        with autocast(self._settings, self.args.device):
            vectors: torch.Tensor = model(*padded(ids, self.args.device))
        return vectors.float()

    def _loss(self, vectors: torch.Tensor, excluded: torch.Tensor) -> torch.Tensor:
        count = excluded.shape[0]
        nested = [width for width in self._settings.nested if width < vectors.shape[1]]
        temperature = self._settings.temperature
        return info_nce(vectors[:count], vectors[count:], excluded, temperature, nested)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._model.trained(), folder / TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / TRAINED)
        parameters = dict(self._model.named_parameters())
        for name, weight in weights.items():
            parameters[name].data.copy_(weight)


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
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
