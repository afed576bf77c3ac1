"""Papers to token blocks on disk: `train prepare`.

    DIR/
      prepared.json   what it was made of and with; written last
      rejected.jsonl  records that were refused, one a line
      abstracts/      a Dataset: id, held_out, input_ids ([BOS] abstract [EOS])
      train/, test/   a DatasetDict of blocks: input_ids (512 int32), length (how many are real)

Everything streams: memory does not grow with the corpus.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from astrosearch.completion.language_model import LanguageModel, Vocabulary, load_vocabulary
from astrosearch.corpus.intake import Selection, import_papers
from astrosearch.corpus.store import Corpus
from astrosearch.encoders.weights.locate import locate
from astrosearch.errors import AstrosearchError, CorpusError, InputError
from astrosearch.evaluation.split import is_held_out
from astrosearch.report import Reporter
from training.disk import out_of_space, publish
from training.lm.packing import BLOCK, pack

RECORD = "prepared.json"
FORMAT = 1

_ABSTRACT = datasets.Features(
    id=datasets.Value("string"),
    held_out=datasets.Value("bool"),
    input_ids=datasets.List(datasets.Value("int32")),
)


class DataMissing(InputError):
    """A folder does not hold prepared data."""


@dataclass(frozen=True, slots=True)
class Split:
    """The training or the held-out part of the data, in numbers."""

    papers: int
    tokens: int
    """With each abstract's BOS and EOS."""
    blocks: int
    """The last of them may be padded."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The record of a folder of prepared data; it has the figures of the paper's section 2.1."""

    base: str
    base_revision: str
    """Fingerprint of the model whose tokenizer made the tokens."""
    pad: int
    sources: list[str]
    corpus: str
    """sha256 over every field of every paper."""
    papers: int
    first: str
    """Month of the first paper, YYYY-MM."""
    last: str
    median_tokens: float
    """Of an abstract, without BOS and EOS."""
    refused: dict[str, int]
    """Records that were refused, by reason."""
    train: Split
    test: Split
    block: int = BLOCK
    format: int = FORMAT

    @property
    def tokens(self) -> int:
        return self.train.tokens + self.test.tokens

    @classmethod
    def read(cls, folder: Path) -> "Prepared":
        """
        Raises:
            InputError: if `folder` is not what `prepare` writes.
        """
        try:
            record = json.loads((folder / RECORD).read_bytes())
            record |= {name: Split(**record[name]) for name in ("train", "test")}
            prepared = cls(**record)
        except OSError:
            raise DataMissing(f"{folder} holds no {RECORD}: it is not prepared data") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder / RECORD} cannot be read ({error})") from None
        if prepared.format != FORMAT or prepared.block != BLOCK:
            raise InputError(
                f"{folder} has format {prepared.format} and blocks of {prepared.block}, this "
                f"version reads format {FORMAT} and blocks of {BLOCK}; prepare it again"
            )
        return prepared

    def check(self, folder: Path, base: LanguageModel) -> None:
        """
        Raises:
            InputError: if the blocks in `folder` are not of this base's tokens.
        """
        if base.revision != self.base_revision:
            raise InputError(
                f"{folder} was prepared for {self.base} of revision {self.base_revision}, the "
                f"base is {base.name} of revision {base.revision}; prepare the data for it"
            )


def prepare(
    sources: list[Path],
    out: Path,
    base: str,
    selection: Selection,
    reporter: Reporter,
    *,
    strict: bool = False,
) -> Prepared:
    """Write the blocks of a corpus, tokenized for a base model.

    Args:
        out: a new folder; it appears when it is whole.
        strict: whether to end at the first refused record.

    Raises:
        CorpusError: if a source is not a corpus, or has too little text for one block per split.
        NothingFound: if no paper is selected.
        AstrosearchError: if another process is making `out`.
    """
    folder, revision = locate(base, reporter)
    vocabulary = load_vocabulary(folder, base)
    if not vocabulary.has_pad:
        reporter.notify(
            f"{base} has no padding token: EOS fills the last block; padded places never count"
        )
    datasets.disable_progress_bars()
    with out_of_space(out), publish(out) as work:
        papers = work / "papers.sqlite"
        intake = import_papers(sources, selection, papers, work / "rejected.jsonl", strict=strict)
        corpus = Corpus(papers)
        with closing(corpus):
            dates, digest = corpus.span(), corpus.digest()
            abstracts = _tokenized(corpus, vocabulary, work / "cache", reporter)
        held_out = np.array(abstracts["held_out"], dtype=bool)
        lengths = np.concatenate(
            [[len(ids) for ids in batch["input_ids"]] for batch in abstracts.iter(1_000)]
        )
        splits, blocks = {}, {}
        for name, chosen in (("train", ~held_out), ("test", held_out)):
            tokens = int(lengths[chosen].sum())
            if tokens < BLOCK:
                share = "training" if name == "train" else "held-out"
                raise CorpusError(
                    f"the {int(chosen.sum()):,} {share} papers have {tokens:,} tokens, less than "
                    f"one block of {BLOCK}; give a larger corpus"
                )
            rows = abstracts.select(np.flatnonzero(chosen))
            blocks[name] = _packed(rows, vocabulary.pad, work / "cache", name)
            splits[name] = Split(int(chosen.sum()), tokens, len(blocks[name]))
        datasets.DatasetDict(blocks).save_to_disk(work)
        abstracts.save_to_disk(work / "abstracts")
        del abstracts, blocks  # they map files of the cache
        shutil.rmtree(work / "cache")
        papers.unlink()
        prepared = Prepared(
            base=base,
            base_revision=revision,
            pad=vocabulary.pad,
            sources=[source.name for source in sources],
            corpus=digest,
            papers=len(held_out),
            first=dates[0][:7],
            last=dates[1][:7],
            median_tokens=float(np.median(lengths - 2)),
            refused=dict(intake.refused),
            train=splits["train"],
            test=splits["test"],
        )
        (work / RECORD).write_text(json.dumps(asdict(prepared), indent=1) + "\n")
    return prepared


def blocks_of(folder: Path, split: str) -> Any:
    """The Dataset of a split's blocks."""
    try:
        return datasets.load_from_disk(str(folder / split))
    except (OSError, ValueError) as error:
        raise AstrosearchError(
            f"{folder / split} cannot be read ({error}); prepare the data again"
        ) from None


def held_out_abstracts(folder: Path) -> Any:
    """The Dataset of the held-out abstracts, one a row: id, input_ids."""
    abstracts = datasets.load_from_disk(str(folder / "abstracts"))
    return abstracts.select(np.flatnonzero(np.array(abstracts["held_out"], dtype=bool)))


def _tokenized(corpus: Corpus, vocabulary: Vocabulary, cache: Path, reporter: Reporter) -> Any:
    def rows() -> Iterator[dict[str, object]]:
        done = 0
        stream = iter(corpus)
        while papers := list(islice(stream, 1_000)):
            for paper, ids in zip(
                papers, vocabulary.ids([paper.abstract for paper in papers]), strict=True
            ):
                yield {
                    "id": paper.id,
                    "held_out": is_held_out(paper.id),
                    "input_ids": [vocabulary.bos, *ids, vocabulary.eos],
                }
            done += len(papers)
            reporter.progress("Tokenizing papers", done, len(corpus))

    return _dataset(rows, _ABSTRACT, cache, "abstracts")


def _packed(abstracts: Any, pad: int, cache: Path, name: str) -> Any:
    def rows() -> Iterator[dict[str, object]]:
        ids = chain.from_iterable(batch["input_ids"] for batch in abstracts.iter(1_000))
        for row, length in pack(ids, pad):
            yield {"input_ids": row, "length": length}

    features = datasets.Features(
        input_ids=datasets.List(datasets.Value("int32"), length=BLOCK),
        length=datasets.Value("int32"),
    )
    return _dataset(rows, features, cache, name)


def _dataset(
    rows: Callable[[], Iterator[dict[str, object]]],
    features: datasets.Features,
    cache: Path,
    name: str,
) -> Any:
    try:
        # Named by hand: computing a fingerprint would pickle the open corpus.
        return datasets.Dataset.from_generator(
            rows, features=features, cache_dir=str(cache), fingerprint=name
        )
    except datasets.exceptions.DatasetGenerationError as error:
        raise error.__cause__ or error from None
