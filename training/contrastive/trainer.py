"""From a language model to an encoder that retrieves: `train contrast`.

A model's first layers, LoRA on their linear maps and on the token embeddings, a weight for each
token of the vocabulary, and a linear map behind the mean: all are trained so that texts which
belong together (`contrastive.pairs`) lie nearer than others (`contrastive.objective`). The map
begins as the whitening of the untrained vectors, which is far better than none, and the weights
begin as those of rare words (SIF: Arora et al. 2017, openreview.net/forum?id=SyK00v5xx).
"""

import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft.helpers import disable_input_dtype_casting
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainingArguments

from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.base import (
    Attention,
    EncoderSpec,
    Normalization,
    Pooling,
    pooled_width,
)
from astrosearch.encoders.devices import keep_freed_memory
from astrosearch.encoders.head import HEAD, LinearHead
from astrosearch.encoders.hugging_face import quiet_transformers, read_object
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.registry import ENCODER, adapter_spec, encoder_spec
from astrosearch.encoders.tokenizer import Tokens
from astrosearch.encoders.transformer import (
    load_body,
    mean_shares,
    padded,
    pool,
    token_batches,
    token_weights,
)
from astrosearch.encoders.weights.locate import locate, locate_adapter
from astrosearch.errors import CorpusError, InputError
from astrosearch.report import Reporter
from training.adapter import Outcome, card, save_lora, write_record
from training.contrastive.mining import hard_negatives
from training.contrastive.objective import back_propagate, encode_chunks, info_nce
from training.contrastive.pairs import Pair, Views, masked, read_relations
from training.contrastive.teacher import Teacher, distillation
from training.disk import out_of_space, partial, refuse_to_overwrite, rename
from training.log import Log
from training.run import LOG, Stops, train

TRAINED = "trained.safetensors"
"""In a checkpoint: the weights that are trained, and nothing else."""

PASS_TOKENS = 8_192
"""Tokens that go through the layers together: texts of a length, so that little is padded."""

BAG_TOKENS = 131_072
"""The same where there are no layers to go through."""

SHARD = 1_000
"""Papers whose tokens are counted at a time."""


@dataclass(frozen=True, slots=True)
class ContrastSettings:
    """Two runs of equal settings on equal papers on one CPU give the same encoder, bit by bit."""

    base: str
    adapter: str | None = None
    """A language-model or embedding adapter whose weights are begun from."""
    layers: int | None = 0
    """How many of the base's first layers are kept, 0 for its token embeddings alone; None for
    all."""
    pooling: Pooling = "weighted-mean-without-bos"
    attention: Attention = "causal"
    normalization: Normalization = "plain"
    """Whether texts are read as their words in lower case, or as they are written."""
    dimension: int | None = 512
    """Of the vectors; None for the model's width."""
    nested: tuple[int, ...] = (256, 128)
    """Their first so many dimensions are trained to serve alone (Matryoshka)."""
    rank: int = 576
    """Of LoRA, whose scale, alpha / rank, is 1."""
    kept_rank: int = 208
    """Without layers: what is learnt of the token embeddings is written as the nearest matrix of
    this rank, if that is less. A wide one learns more than a narrow one, and loses little."""
    learning_rate: float = 1e-3
    head_learning_rate: float = 1e-3
    """Of the linear map."""
    weight_learning_rate: float = 1e-2
    """Of the tokens' weights, which are held as logarithms."""
    warmup_share: float = 0.1
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0
    temperature: float = 0.04
    batch: int = 1024
    """Pairs a step; each is the others' negative."""
    masked: float = 0.0
    """Share of the queries, other than halves of abstracts, that lose most of the words which their
    document has: meaning is learnt where words do not help."""
    teacher: str | None = None
    """An encoder to learn from how near texts are, besides which belong together."""
    teacher_share: float = 0.2
    """Of the loss."""
    hard_negatives: int = 0
    """For each pair, abstracts that a word search takes for it."""
    epochs: float = 10.0
    """How often each training paper gives a pair."""
    max_pairs: int | None = None
    """End after so many pairs, if that is sooner."""
    query_tokens: int = 128
    document_tokens: int = 512
    """Longer texts are cut, in training; the encoder takes 512."""
    memory_tokens: int = 16_384
    """Tokens whose activations are held at once; batches of more are encoded twice. Without layers
    there are none to speak of."""
    dtype: str = "float32"
    evaluations: int = 10
    evaluation_pairs: int = 256
    fold: int = 0
    """Which fifth of the papers is held out (`astrosearch.evaluation.split`)."""
    seed: int = 0

    def as_record(self) -> dict[str, Any]:
        return asdict(self) | {"nested": list(self.nested)}

    @property
    def pass_tokens(self) -> int:
        return BAG_TOKENS if self.spec.is_static else min(PASS_TOKENS, self.memory_tokens)

    @property
    def spec(self) -> EncoderSpec:
        """The encoder that is trained, without its adapter."""
        return EncoderSpec(
            self.base,
            layers=self.layers,
            pooling=self.pooling,
            attention=self.attention,
            document="title-and-abstract",
            normalization=self.normalization,
        )

    def tokens(self, folder: Path, most: int) -> Tokens:
        """How the base's tokenizer reads texts, the longest cut to `most` tokens."""
        return Tokens(folder, "mean-without-bos", most, self.normalization)


class EmbeddingModel(torch.nn.Module):
    """A body, a weighted mean and a linear map: token ids to unit vectors."""

    def __init__(
        self,
        body: Any,
        causal: bool,
        pooling: Pooling,
        whitening: LinearHead,
        token_weights: NDArray[np.float32] | None,
    ) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.body = body
        self.causal = causal
        self.pooling = pooling
        self.register_buffer("mean", torch.from_numpy(whitening.mean))
        self.projection = torch.nn.Parameter(torch.from_numpy(whitening.projection.copy()))
        self.log_weights: torch.nn.Parameter | None = None
        if token_weights is not None:
            self.log_weights = torch.nn.Parameter(torch.from_numpy(np.log(token_weights)))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(b, t) token ids and their mask to (b, dimension) unit vectors."""
        weights = None
        if self.log_weights is not None:
            weights = token_weights(self.log_weights.exp(), ids, mask)
        if self.body.config.num_hidden_layers == 0:
            pooled = self._bag(ids, mask, weights)
        else:
            pooled = self._pooled(ids, mask, weights)
        centred = torch.nn.functional.normalize(pooled, dim=1) - self.mean
        return torch.nn.functional.normalize(centred @ self.projection, dim=1)

    def _pooled(
        self, ids: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        # Autocast brings each map's input to the weights' precision; peft would do it once more.
        with disable_input_dtype_casting(self.body):
            found = self.body(
                input_ids=ids,
                attention_mask=None if self.causal else mask,
                output_hidden_states=self.pooling == "weighted-first-last",
            )
        return pool(self.body.get_base_model(), found, mask, self.pooling, weights)

    def _bag(
        self, ids: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Without layers a token's state is the same wherever it stands: it is found once."""
        tokens, places = torch.unique(ids, return_inverse=True)
        with disable_input_dtype_casting(self.body):
            states = self.body(input_ids=tokens[:, None]).last_hidden_state[:, 0]
        shares = mean_shares(mask, without_first=True, weights=weights)
        return torch.nn.functional.embedding_bag(
            places, states.float(), per_sample_weights=shares, mode="sum"
        )

    def trained(self) -> dict[str, torch.Tensor]:
        return {
            name: parameter.detach().contiguous()
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        }


def contrast(
    settings: ContrastSettings,
    sources: list[Path],
    out: Path,
    reporter: Reporter,
    *,
    device: torch.device,
    selection: Selection | None = None,
    relations: Sequence[Path] = (),
    stops: Stops | None = None,
    restart: bool = False,
) -> Outcome | None:
    """Train an encoder on a corpus, or go on with a run that was cut short.

    Args:
        relations: files of papers that belong together (`pairs.read_relations`).
        restart: throw away what an earlier run has left.

    Returns:
        What came of it; None if it was paused.

    Raises:
        CorpusError: if there are fewer training papers than pairs in a batch.
        InputError: if an unfinished run has other settings, or there are several processes.
        AstrosearchError: if memory or disk do not suffice.
    """
    refuse_to_overwrite(out)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("train contrast runs in one process: its negatives are the whole batch's")
    if settings.spec.is_static and settings.pooling == "weighted-first-last":
        raise InputError(
            "without layers the first state is the last: for --pooling weighted-first-last give "
            "--layers 1 or more"
        )
    if device.type == "cpu":
        keep_freed_memory()
    work = partial(out)
    if restart:
        shutil.rmtree(work, ignore_errors=True)
    with out_of_space(out):
        work.mkdir(parents=True, exist_ok=True)
        papers = work / "papers.sqlite"
        import_papers(sources, selection or Selection(), papers, work / "rejected.jsonl")
        with closing(Corpus(papers)) as corpus:
            fold = settings.fold
            related = read_relations(relations, corpus, fold)
            views = Views(corpus, related, settings.seed, fold=fold)
            held_out = Views(corpus, {}, settings.seed, held_out=True, fold=fold)
            if len(views) < settings.batch:
                raise CorpusError(
                    f"there are {len(views):,} training papers, fewer than the {settings.batch:,} "
                    "pairs of a batch; give a larger corpus or a smaller --batch"
                )
            record = {
                "settings": settings.as_record(),
                "corpus": corpus.digest(),
                "papers": len(views),
                "relations": sum(map(len, views.related.values())),
            }
            negatives = None
            if settings.hard_negatives:
                negatives = hard_negatives(corpus, views, work / "negatives.npy")
            teacher = None
            if settings.teacher:
                reporter.notify(f"{settings.teacher} reads the abstracts, to learn from it.")
                spec = encoder_spec(settings.teacher)
                runs_on = None if spec.is_static else str(device)
                encoder = load_encoder(spec, reporter, device=runs_on)
                teacher = Teacher(encoder, corpus, views, work / "teacher.npy", reporter)
            folder, revision = locate(settings.base, reporter)
            model = _model(settings, folder, views, corpus, device, reporter)
            trainer = _Trainer(
                settings, model, views, held_out, negatives, teacher, folder, work, device
            )
            done = train(
                trainer,
                work,
                record,
                reporter,
                stops=stops or Stops(),
                measure="loss",
                memory_advice=f"{device} has too little memory for this run; try "
                f"--memory-tokens {settings.memory_tokens // 2}",
            )
            if not done:
                return None
            log = Log(work / LOG)
            outcome = Outcome.of(log, device)
            if settings.spec.is_static and settings.kept_rank < settings.rank:
                _narrow(model, settings, folder, views)
            _write(work / "adapter", model, settings, revision, record, outcome, log)
        rename(work / "adapter", out)
        shutil.rmtree(work)
    return outcome


def _model(
    settings: ContrastSettings,
    folder: Path,
    views: Views,
    corpus: Corpus,
    device: torch.device,
    reporter: Reporter,
) -> EmbeddingModel:
    """The untrained encoder, its linear map whitening the vectors of some training papers."""
    with quiet_transformers():
        from peft import LoraConfig, get_peft_model

    bare = EncoderSpec(
        settings.base,
        layers=settings.layers,
        attention=settings.attention,
        max_tokens=settings.document_tokens,
    )
    # On a CPU torch's fused attention is fast forwards and slow backwards.
    kernel = "eager" if device.type == "cpu" else None
    body, causal = load_body(bare, folder, None, device, settings.dtype, kernel=kernel)
    # Embeddings too: much of what a few layers know of a word is its embedding.
    kinds = (torch.nn.Linear, torch.nn.Embedding)
    leaves = {
        name.rpartition(".")[2] for name, one in body.named_modules() if isinstance(one, kinds)
    }
    torch.manual_seed(settings.seed)
    lora = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=sorted(leaves))
    with quiet_transformers():
        body = get_peft_model(body, lora)
    for name, weight in body.named_parameters():
        if "lora_embedding_B" in name:
            # peft draws it with entries of size 1: a step would throw each token far off.
            weight.data /= math.sqrt(body.config.hidden_size)
    begun = _begin_from(body, settings, reporter) if settings.adapter else {}
    draw = np.random.default_rng(settings.seed)
    chosen = draw.choice(views.rows, size=min(len(views.rows), 4_000), replace=False)
    some = corpus.papers(sorted(chosen.tolist()))
    texts = [settings.spec.text_of(paper) for paper in some] + [paper.title for paper in some[::4]]
    ids = settings.tokens(folder, settings.document_tokens).ids(texts)
    weights = None
    if settings.pooling.startswith("weighted"):
        weights = begun.get("token_weights", rare_word_weights(ids, body.config.vocab_size))
    full = pooled_width(settings.pooling, body.config.hidden_size)
    identity = LinearHead(np.zeros(full, np.float32), np.eye(full, dtype=np.float32))
    pooling = settings.pooling
    untrained = EmbeddingModel(body, causal, pooling, identity, weights).to(device).eval()
    found = np.concatenate(
        [vectors.cpu().numpy() for vectors in _encoded(untrained, ids, settings, device)]
    )
    width = min(settings.dimension or body.config.hidden_size, len(found) - 1)
    whitening = LinearHead.fit(found, width, power=0.7)
    if "projection" in begun:
        whitening = _extended(begun["mean"], begun["projection"], whitening)
    model = EmbeddingModel(body, causal, pooling, whitening, weights).to(device)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def rare_word_weights(
    ids: Sequence[Sequence[int]], vocabulary: int, smooth: float = 1e-3
) -> NDArray[np.float32]:
    """(vocabulary,) a / (a + p) for a token that is a share p of all tokens, with mean 1 over
    them (Arora et al. 2017, equation 1).

    >>> rare_word_weights([[0, 1], [0, 1]], 3, smooth=0.5).round(2).tolist()
    [1.0, 1.0, 2.0]
    """
    counts = np.bincount(np.concatenate([np.asarray(one) for one in ids]), minlength=vocabulary)
    share = counts / counts.sum()
    weights = smooth / (smooth + share)
    return np.asarray(weights / (weights * share).sum(), dtype=np.float32)


def _encoded(
    model: EmbeddingModel,
    ids: Sequence[Sequence[int]],
    settings: ContrastSettings,
    device: torch.device,
) -> Iterator[torch.Tensor]:
    with torch.no_grad(), _autocast(settings, device):
        for batch in token_batches([len(one) for one in ids], settings.pass_tokens):
            yield model(*padded([ids[i] for i in batch], device)).float()


def _autocast(settings: ContrastSettings, device: torch.device) -> torch.autocast:
    return torch.autocast(
        device.type, torch.bfloat16, enabled=settings.dtype == "bfloat16", cache_enabled=False
    )


def _extended(
    mean: NDArray[np.float32], projection: NDArray[np.float32], fitted: LinearHead
) -> LinearHead:
    """A head that is begun from: where this run's pooling has more after it, that counts nothing
    yet."""
    wanted, given = fitted.projection.shape, projection.shape
    if given[1] != wanted[1] or given[0] > wanted[0]:
        raise InputError(
            f"the adapter's linear map is {given[0]} to {given[1]}, this run's {wanted[0]} to "
            f"{wanted[1]}; give --dimension {given[1]} and the pooling it was trained with"
        )
    scale = np.sqrt(wanted[0] / given[0])  # that of the halves of a vector of length 1
    whole = np.zeros(wanted, dtype=np.float32)
    whole[: given[0]] = projection * scale
    centre = fitted.mean.copy()
    centre[: given[0]] = mean / scale
    return LinearHead(centre, whole)


def _begin_from(
    body: Any, settings: ContrastSettings, reporter: Reporter
) -> dict[str, NDArray[np.float32]]:
    """Copy an adapter's weights into the layers that are kept.

    Returns:
        Of an embedding adapter, its head.
    """
    folder, _ = locate_adapter(settings.adapter or "", reporter)
    given = load_file(folder / "adapter_model.safetensors")
    config = read_object(folder / "adapter_config.json")
    wanted = dict(body.named_parameters())
    taken = 0
    for name, weight in given.items():
        inner = name.replace("base_model.model.model.", "base_model.model.")
        stem = inner.removesuffix(".weight")  # which those of embeddings do not have
        inner = f"{stem}.default{inner[len(stem) :]}"
        if inner in wanted:
            whole = wanted[inner].data
            rows, columns = weight.shape
            if rows > whole.shape[0] or columns > whole.shape[1]:
                raise InputError(
                    f"adapter {settings.adapter} has rank {config['r']}, this run has rank "
                    f"{settings.rank}; give --rank {config['r']}"
                )
            if re.search(r"\.lora_(embedding_)?B", name):
                weight = weight.float() * (config["lora_alpha"] / config["r"])
            # Of the two one begins as zeros, so beyond the adapter's rank their product is zero.
            whole[:rows, :columns] = weight
            taken += 1
    if not taken:
        raise InputError(f"adapter {settings.adapter} has no weights for {settings.base}")
    if not (folder / HEAD).exists():
        return {}
    normalization = adapter_spec(folder).normalization
    if normalization != settings.normalization:
        raise InputError(
            f"adapter {settings.adapter} was trained on texts with normalization {normalization}, "
            f"not {settings.normalization}"
        )
    return {name: array.astype(np.float32) for name, array in load_arrays(folder / HEAD).items()}


@dataclass(frozen=True, slots=True)
class _Texts:
    """Token ids of a batch's texts, in a class that accelerate does not look for tensors in."""

    ids: list[list[int]]
    pairs: list[Pair]


class _Pairs(torch.utils.data.Dataset[Pair]):
    """The pairs of a whole run in their order."""

    def __init__(self, views: Views, count: int) -> None:
        self._views, self._count = views, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Pair:
        if number >= self._count:
            raise IndexError(number)
        return self._views.pair(number)


class _Trainer(Trainer):
    """The Trainer with batches of pairs, cached gradients and small checkpoints."""

    def __init__(
        self,
        settings: ContrastSettings,
        model: EmbeddingModel,
        views: Views,
        held_out: Views,
        negatives: NDArray[np.int32] | None,
        teacher: Teacher | None,
        folder: Path,
        work: Path,
        device: torch.device,
    ) -> None:
        self._settings = settings
        self._model = model
        self._views = views
        self._negatives = negatives
        self._teacher = teacher
        self._asked = settings.tokens(folder, settings.query_tokens)
        self._found = settings.tokens(folder, settings.document_tokens)
        pairs = math.ceil(settings.epochs * len(views))
        if settings.max_pairs is not None:
            pairs = min(pairs, settings.max_pairs)
        steps = max(1, pairs // settings.batch)
        looks = bool(settings.evaluations and len(held_out) > 1)
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
                eval_strategy="steps" if looks else "no",
                eval_steps=max(1, round(steps / max(1, settings.evaluations))),
                eval_on_start=looks,
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
            groups = [
                {"params": [model.projection], "lr": settings.head_learning_rate},
                {
                    "params": [p for p in model.body.parameters() if p.requires_grad],
                    "lr": settings.learning_rate,
                },
            ]
            if model.log_weights is not None:
                groups.append({"params": [model.log_weights], "lr": settings.weight_learning_rate})
            optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
            super().__init__(
                model=model,
                args=arguments,
                data_collator=self._collate,
                train_dataset=_Pairs(views, steps * settings.batch),
                eval_dataset=_Pairs(held_out, min(len(held_out), settings.evaluation_pairs)),
                optimizers=(optimizer, None),
            )

    def _collate(self, pairs: list[Pair]) -> dict[str, Any]:
        """Pairs to token lists: queries, then documents, then hard negatives."""
        rows = [pair.rows for pair in pairs]
        documents = [pair.document for pair in pairs]
        extra: list[int] = []
        if self._negatives is not None:
            for number, (_, row) in enumerate(rows):
                mined = self._negatives[row]
                mined = mined[mined >= 0]
                if len(mined):
                    draw = np.random.default_rng([self._settings.seed, 3, row, number])
                    size = min(len(mined), self._settings.hard_negatives)
                    extra += draw.choice(mined, size=size, replace=False).tolist()
            documents += [paper.abstract for paper in self._views.corpus.papers(extra)]
        found = [row for _, row in rows] + extra
        return {
            "texts": _Texts(
                self._asked.ids([pair.query for pair in pairs]) + self._found.ids(documents),
                pairs,
            ),
            "related": self._views.are_related(rows, found),
        }

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        model.train()
        pairs, related = inputs["texts"].pairs, torch.from_numpy(inputs["related"])
        ids, whole = self._masked(inputs["texts"])
        tokens = sum(map(len, ids))
        self.state.num_input_tokens_seen += tokens
        asked: list[int] = []
        if self._teacher:
            asked, cosines = self._teacher.lesson(pairs, whole)
            taught = torch.from_numpy(cosines).to(self.args.device)
        related = related.to(self.args.device)

        def loss_of(vectors: torch.Tensor) -> torch.Tensor:
            loss = self._loss(vectors, related)
            if not asked:
                return loss
            queries, documents = vectors[: len(pairs)][asked], vectors[len(pairs) :][asked]
            scores = queries @ documents.T / self._settings.temperature
            return torch.lerp(loss, distillation(scores, taught), self._settings.teacher_share)

        return back_propagate(
            lambda some: self._encode(model, [ids[i] for i in some]),
            self._chunks(ids),
            loss_of,
            self.accelerator.backward,
            cached=tokens > self._settings.memory_tokens and not self._settings.spec.is_static,
        )

    def _masked(self, texts: _Texts) -> tuple[list[list[int]], list[bool]]:
        """The batch's token lists, some queries masked, and which are whole."""
        ids, whole = list(texts.ids), []
        for number, pair in enumerate(texts.pairs):
            draw = np.random.default_rng(
                [self._settings.seed, 4, *pair.rows, self.state.global_step]
            )
            kept = None
            if pair.kind != "half" and draw.random() < self._settings.masked:
                kept = masked(ids[number], ids[len(texts.pairs) + number], draw)
            whole.append(kept is None)
            ids[number] = kept or ids[number]
        return ids, whole

    def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        ids, related = inputs["texts"].ids, torch.from_numpy(inputs["related"]).to(self.args.device)
        with torch.no_grad():
            vectors = encode_chunks(
                lambda some: self._encode(model, [ids[i] for i in some]), self._chunks(ids)
            )
            return self._loss(vectors, related), None, None

    def _chunks(self, ids: list[list[int]]) -> list[list[int]]:
        return list(token_batches([len(one) for one in ids], self._settings.pass_tokens))

    def _encode(self, model: Any, ids: list[list[int]]) -> torch.Tensor:
        with _autocast(self._settings, self.args.device):
            vectors: torch.Tensor = model(*padded(ids, self.args.device))
        return vectors.float()

    def _loss(self, vectors: torch.Tensor, related: torch.Tensor) -> torch.Tensor:
        count = related.shape[0]
        nested = [one for one in self._settings.nested if one < vectors.shape[1]]
        temperature = self._settings.temperature
        return info_nce(vectors[:count], vectors[count:], related, temperature, nested)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._model.trained(), folder / TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / TRAINED)
        mine = dict(self._model.named_parameters())
        for name, weight in weights.items():
            mine[name].data.copy_(weight)


def _narrow(model: EmbeddingModel, settings: ContrastSettings, folder: Path, views: Views) -> None:
    """Put, for what LoRA has learnt of the token embeddings, the nearest matrix of `kept_rank`
    (Eckart and Young 1936), each token's distance weighted by how much it counts in the corpus."""
    tokens = settings.tokens(folder, settings.document_tokens)
    counts = np.zeros(model.body.config.vocab_size)
    for start in range(0, len(views), SHARD):
        papers = views.corpus.papers(views.rows[start : start + SHARD].tolist())
        found = np.concatenate(tokens.ids([settings.spec.text_of(paper) for paper in papers]))
        counts += np.bincount(found, minlength=len(counts))
    weights = torch.from_numpy(counts).float().sqrt()
    if model.log_weights is not None:
        weights *= model.log_weights.detach().cpu().exp()
    (learnt,) = (one for one in model.body.modules() if getattr(one, "lora_embedding_A", None))
    down, up = learnt.lora_embedding_A["default"], learnt.lora_embedding_B["default"]
    whole = (up @ down).detach().float().cpu().T  # (vocabulary, width)
    weighted = whole * weights[:, None]
    _, axes = torch.linalg.eigh(weighted.T @ weighted)
    kept = axes[:, -settings.kept_rank :]
    down.data = (whole @ kept).T.contiguous()
    up.data = kept.contiguous()
    config = model.body.peft_config["default"]
    config.r = config.lora_alpha = kept.shape[1]


def _write(
    folder: Path,
    model: EmbeddingModel,
    settings: ContrastSettings,
    revision: str,
    record: dict[str, Any],
    outcome: Outcome,
    log: Log,
) -> None:
    """The adapter's folder: PEFT's files, the head, the spec, the record, the log and the card."""
    save_lora(folder, model.body, settings.base)
    arrays = {
        "mean": model.mean.detach().cpu().numpy(),
        "projection": model.projection.detach().cpu().numpy(),
    }
    if model.log_weights is not None:
        arrays["token_weights"] = model.log_weights.detach().exp().cpu().numpy()
    save_arrays(
        {name: np.ascontiguousarray(one, dtype=np.float16) for name, one in arrays.items()},
        folder / HEAD,
    )
    write_record(folder, settings.as_record(), revision, record, outcome, log)
    (folder / ENCODER).write_text(json.dumps(settings.spec.as_record(), indent=1) + "\n")
    (folder / "README.md").write_text(_card(settings, revision, record, outcome, log))


def _card(
    settings: ContrastSettings, revision: str, record: dict[str, Any], outcome: Outcome, log: Log
) -> str:
    rows = [row.held_out_loss for row in log.rows() if row.held_out_loss is not None]
    losses = ""
    teacher = f" It learnt from {settings.teacher}, too." if settings.teacher else ""
    if rows:
        losses = (
            f" On {settings.evaluation_pairs} pairs of held-out papers the loss went from "
            f"{rows[0]:.3f} to {rows[-1]:.3f}."
        )
    return card(
        settings.base,
        "An encoder of astronomy papers",
        f"""Made by `astrosearch train contrast` from {settings.base} (revision {revision}): texts
that belong together lie near each other. Use it with `astrosearch index --encoder FOLDER`; the
linear map behind the mean and the token weights are in `{HEAD}`.""",
        f"""{record["papers"]:,} training papers of arXiv (sha256 of the corpus
{record["corpus"]}); one paper in five is held out by a hash of its identifier.
{record["relations"]:,} relations between papers were given.{teacher}""",
        f"""{outcome.steps * settings.batch:,} pairs, {outcome.tokens:,} tokens, in
{outcome.steps:,} steps; mean training loss {outcome.training_loss:.3f} nats.{losses}""",
        settings.as_record(),
        outcome,
    )
