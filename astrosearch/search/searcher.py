"""A Searcher: an open index, its encoder and its ranking, the object that answers.

Every front end asks one: the command line, a library's user, an evaluation. It may be used from
several threads at once, and notices between two questions that its index was built again.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from astrosearch import paths
from astrosearch.corpus.filters import Filters
from astrosearch.encoders.base import Encoder
from astrosearch.encoders.loading import load_query_encoder
from astrosearch.index.reader import Index
from astrosearch.papers import Paper, parse_id
from astrosearch.report import SILENT, Reporter
from astrosearch.search import ranking
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.ranking import Hit, Mode


class Searcher:
    """An open index with its encoder, which is loaded when it is first needed."""

    def __init__(
        self, folder: Path, *, encoder: Encoder | None = None, reporter: Reporter = SILENT
    ) -> None:
        """
        Args:
            folder: of a built index.
            encoder: the index's, if it is loaded already.
            reporter: is told what is fetched.

        Raises:
            IndexDamaged: if the folder is not a whole index.
        """
        self._folder = folder
        self._reporter = reporter
        self._lock = threading.Lock()
        self._index = Index(folder)
        self._encoder = encoder

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def index(self) -> Index:
        return self._index

    @property
    def encoder(self) -> Encoder:
        """The index's encoder.

        Raises:
            ModelMissing: if its weights are not on this machine and cannot be fetched.
        """
        with self._lock:
            if self._encoder is None:
                self._encoder = load_query_encoder(self._index.manifest.encoder, self._reporter)
            return self._encoder

    def query(
        self,
        text: str | ParsedQuery,
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
    ) -> list[Hit]:
        """The `k` papers that fit a text best, best first; none if nothing does."""
        return self.query_batch([text], k, filters, mode)[0]

    def query_batch(
        self,
        texts: Sequence[str | ParsedQuery],
        k: int = 10,
        filters: Filters | None = None,
        mode: Mode = "hybrid",
    ) -> list[list[Hit]]:
        """`query` for several texts, whose vectors are made together."""
        encoder = None if mode == "lexical" else self.encoder
        return ranking.query(self._index, encoder, texts, k, filters, mode)

    def similar(self, ids: Sequence[str], k: int = 10, filters: Filters | None = None) -> list[Hit]:
        """The `k` papers nearest to one paper, or to several together, these left out.

        Raises:
            NothingFound: if one of the papers is not in the index.
        """
        from astrosearch.encoders.base import LateInteraction

        late = self.encoder if isinstance(self.encoder, LateInteraction) else None
        return ranking.similar(self._index, [parse_id(one).id for one in ids], k, filters, late)

    def paper(self, paper_id: str) -> Paper:
        """
        Raises:
            IdentifierError: if `paper_id` is not an arXiv identifier.
            NothingFound: if the paper is not in the index.
        """
        corpus = self._index.corpus
        return corpus.papers([corpus.row_of(parse_id(paper_id).id)])[0]

    def close(self) -> None:
        """Let go of files and threads; nothing can be asked afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_index(name: str | None = None, *, reporter: Reporter = SILENT) -> Searcher:
    """Open an index of this machine.

    Args:
        name: by default the index that was built last.
        reporter: is told what is fetched.

    Raises:
        IndexMissing: if there is none of that name.
        IndexDamaged: if it is not whole.
    """
    return Searcher(paths.existing_index(name), reporter=reporter)
