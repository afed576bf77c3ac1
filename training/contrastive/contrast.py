"""From a language model to an encoder that retrieves: `train contrast`.

Texts that belong together (`contrastive.pairs`) are trained to lie nearer to each other than to
others (`contrastive.objective`). What is trained is in `contrastive.model`.
"""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import torch

from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.devices import keep_freed_memory
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.weights.locate import locate
from astrosearch.errors import CorpusError, InputError
from astrosearch.report import Reporter
from training.adapter import Outcome
from training.contrastive.export import write_encoder
from training.contrastive.mining import hard_negatives
from training.contrastive.model import untrained_model
from training.contrastive.pairs import PairSampler, read_relations
from training.contrastive.requests import Request, digest, read_requests
from training.contrastive.teacher import Teacher
from training.contrastive.trainer import ContrastTrainer, TrainingData
from training.contrastive.truncate import truncate_rank
from training.disk import clear, locked, out_of_space, rename
from training.log import Log
from training.run import LOG, CheckpointPolicy, check_run, open_run
from training.settings import ContrastSettings

PAPERS = "papers.sqlite"


def contrast(
    settings: ContrastSettings,
    sources: list[Path],
    out: Path,
    reporter: Reporter,
    *,
    device: torch.device,
    selection: Selection | None = None,
    relations: Sequence[Path] = (),
    requests: Sequence[Path] = (),
    policy: CheckpointPolicy | None = None,
    restart: bool = False,
) -> Outcome | None:
    """Train an encoder on a corpus, or go on with a run that was cut short.

    Args:
        out: a new folder for the encoder's adapter; it appears when it is whole.
        relations: files of papers that belong together (`pairs.read_relations`).
        requests: files of what papers are asked for by (`requests.read_requests`).
        restart: throw away what an earlier run has left.

    Returns:
        The result; None if the run was paused.

    Raises:
        CorpusError: if there are fewer training papers than pairs in a batch.
        InputError: if an unfinished run has other settings, or there are several processes.
        AstrosearchError: if memory or disk do not suffice, or another process is making `out`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "contrastive training runs in one process: the negatives of a pair are the whole batch"
        )
    if settings.spec.is_static and settings.pooling == "weighted-first-last":
        raise InputError(
            "pooling weighted-first-last needs at least one layer: without layers the first state "
            "is the last"
        )
    if settings.token_share and not settings.spec.is_static:
        raise InputError(
            "texts are compared token by token only without layers: with layers, a token has "
            "another vector in each text"
        )
    if settings.token_share and not settings.pooling.startswith("weighted"):
        raise InputError(
            f"texts are compared token by token only with weights of tokens, which pooling "
            f"{settings.pooling} does not have"
        )
    if device.type == "cpu":
        keep_freed_memory()
    with out_of_space(out), locked(out) as work:
        if restart:
            clear(work)
        check_run(work, {"settings": settings.as_record()})
        papers = _import_once(sources, selection or Selection(), work)
        with closing(Corpus(papers)) as corpus:
            asked = read_requests(requests, corpus, reporter, settings.fold)
            sampler, held_out = _samplers(settings, corpus, relations, asked, reporter)
            record = {
                "settings": settings.as_record(),
                "corpus": corpus.digest(),
                "papers": len(sampler),
                "relations": sum(map(len, sampler.related.values())),
                "requests": len(asked),
                "requests_sha256": digest(asked),
            }
            open_run(work, record)
            negatives = None
            if settings.hard_negatives:
                negatives = hard_negatives(corpus, sampler, work / "negatives.npy")
            teacher = _teacher(settings, sampler, work, device, reporter)
            data = TrainingData(sampler, held_out, negatives, teacher)
            folder, revision = locate(settings.base, reporter)
            model = untrained_model(settings, folder, sampler, device, reporter)
            trainer = ContrastTrainer(settings, model, data, folder, work, device)
            if not trainer.train(policy or CheckpointPolicy(), reporter):
                return None
            log = Log(work / LOG)
            outcome = Outcome.of(log, device)
            if settings.spec.is_static and settings.kept_rank < settings.rank:
                truncate_rank(model, settings, folder, sampler)
            write_encoder(work / "adapter", model, settings, revision, record, outcome, log)
        rename(work / "adapter", out)
        shutil.rmtree(work)
    return outcome


def _import_once(sources: Sequence[Path], selection: Selection, work: Path) -> Path:
    """The papers.sqlite of a run, made only if it is not there or the sources changed since."""
    papers, made_from = work / PAPERS, work / "papers.json"
    origin = {
        "selection": {name: str(value) for name, value in asdict(selection).items()},
        "sources": [_state(file) for source in sources for file in _files(source)],
    }
    if made_from.exists() and json.loads(made_from.read_bytes()) == origin:
        return papers
    made_from.unlink(missing_ok=True)
    import_papers(sources, selection, papers, work / "rejected.jsonl")
    with papers.open("rb") as stream:
        os.fsync(stream.fileno())
    made_from.write_text(json.dumps(origin, indent=1) + "\n")
    return papers


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source] if source.exists() else []  # the import says what is missing
    return sorted(file for file in source.rglob("*") if file.is_file())


def _state(file: Path) -> list[str | int]:
    """What tells a file from another one, or from a later version of itself."""
    stat = file.stat()
    return [str(file.absolute()), stat.st_size, stat.st_mtime_ns]


def _samplers(
    settings: ContrastSettings,
    corpus: Corpus,
    relations: Sequence[Path],
    requests: Sequence[Request],
    reporter: Reporter,
) -> tuple[PairSampler, PairSampler]:
    """Of the training papers and of the held-out ones.

    Raises:
        CorpusError: if there are fewer training papers than pairs in a batch.
    """
    related = read_relations(relations, corpus, settings.fold, settings.neighbours, reporter)
    sampler = PairSampler(
        corpus,
        related,
        settings.seed,
        requests=requests,
        request_share=settings.request_share,
        related_share=settings.related_share,
        fold=settings.fold,
    )
    held_out = PairSampler(corpus, {}, settings.seed, held_out=True, fold=settings.fold)
    if len(sampler) < settings.batch:
        raise CorpusError(
            f"there are {len(sampler):,} training papers, fewer than the {settings.batch:,} pairs "
            "of a batch; give a larger corpus or a smaller batch"
        )
    return sampler, held_out


def _teacher(
    settings: ContrastSettings,
    sampler: PairSampler,
    work: Path,
    device: torch.device,
    reporter: Reporter,
) -> Teacher | None:
    if settings.teacher is None:
        return None
    reporter.notify(f"{settings.teacher} encodes the abstracts, to be learnt from.")
    spec = encoder_spec(settings.teacher)
    runs_on = None if spec.is_static else str(device)
    encoder = load_encoder(spec, reporter, device=runs_on)
    return Teacher(encoder, sampler, work / "teacher.npy", reporter)
