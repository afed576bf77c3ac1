"""The citation graph as a part of an index: imported into a new snapshot, opened, removed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from astrosearch.citations.builder import GraphBuilder
from astrosearch.citations.graph import About, Graph, Source
from astrosearch.citations.records import Line, lines_of
from astrosearch.errors import NothingFound
from astrosearch.index.build import moved
from astrosearch.index.folder import locked, partial_folder, writing
from astrosearch.index.manifest import CITATIONS, FORMAT, Manifest
from astrosearch.index.papers import segmented_corpus
from astrosearch.index.snapshot import collect_garbage, holding, next_number, publish
from astrosearch.report import SILENT, Reporter


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    about: About
    """The graph as it is now."""
    before: int
    """References that it had before."""
    refused: Mapping[str, int]
    """What could not be used, by reason."""
    examples: Mapping[str, str]
    """An example of each reason."""


def import_files(
    folder: Path, files: Sequence[Path], *, reporter: Reporter = SILENT
) -> ImportReport:
    """Add the references of some files to the graph of an index.

    Raises:
        CorpusError: if a file cannot be read as one of references.
        NothingFound: if not a single reference could be used; the index stays as it was.
        IndexBusy: if another process changes the index.
        AstrosearchError: if a file breaks off, or the folder cannot be written.
    """
    files = sorted(files, key=lambda file: ".csv" not in file.suffixes)  # names before numbers
    sizes = [file.stat().st_size if file.is_file() else 0 for file in files]

    def sources() -> Iterable[tuple[str, Iterable[Line]]]:
        for place, file in enumerate(files):
            reporter.progress("Reading references", sum(sizes[:place]), sum(sizes) + 1, file.name)
            yield file.name, lines_of(file)
        reporter.progress("Reading references", 1, 1)

    return add(folder, sources(), reporter=reporter)


def add(
    folder: Path, sources: Iterable[tuple[str, Iterable[Line]]], *, reporter: Reporter = SILENT
) -> ImportReport:
    """The same for what was read: each source by its name, with its lines."""
    with locked(folder), partial_folder(folder) as partial:
        manifest = Manifest.read(folder)
        builder = GraphBuilder()
        before = About(0, 0, 0, ())
        if manifest.citations:
            graph = Graph(folder / manifest.citations)
            before = graph.about
            builder.add_graph(graph)
        imported = [_read(builder, name, lines) for name, lines in sources]
        with closing(segmented_corpus(folder, manifest)) as corpus:
            builder.unite(corpus.ids_of_dois(builder.dois()))
        work = partial / CITATIONS
        with writing(partial):
            work.mkdir()
            about = builder.write(work, (*before.sources, *imported), reporter)
            if about is None:
                raise NothingFound(
                    f"no reference was found in {', '.join(source.name for source in imported)}"
                    + _refusals(builder.refused)
                )
            number = next_number(folder)
            name = f"{CITATIONS}-{number}"
            files = {
                **manifest.files_without(*filter(None, [manifest.citations])),
                **moved(work, folder / name),
            }
            changed = replace(manifest, citations=name, files=files, snapshot=number, format=FORMAT)
            publish(folder, changed, [name])
        collect_garbage(folder)
    return ImportReport(about, before.references, builder.refused, builder.examples)


def _read(builder: GraphBuilder, name: str, lines: Iterable[Line]) -> Source:
    papers, before = 0, builder.references
    for line in lines:
        if line.problem is not None:
            builder.refuse(line.problem.reason, f"{name}, line {line.number:,}: {line.problem}")
        for work in line.works:
            papers += builder.add(work.names, work.references)
    return Source(name, date.today().isoformat(), papers, builder.references - before)


def _refusals(refused: Counter[str]) -> str:
    return "".join(f"; {count:,}: {reason}" for reason, count in refused.most_common(3))


def remove(folder: Path) -> About:
    """Take the graph out of an index.

    Raises:
        NothingFound: if it has none.
        IndexBusy: if another process changes the index.
        AstrosearchError: if the folder cannot be written.
    """
    with locked(folder):
        manifest = Manifest.read(folder)
        if not manifest.citations:
            raise NothingFound(f"index {folder.name} has no citations", remedy="import-citations")
        about = Graph(folder / manifest.citations).about
        with writing(folder):
            files = manifest.files_without(manifest.citations)
            number = next_number(folder)
            publish(folder, replace(manifest, citations="", files=files, snapshot=number), [])
        collect_garbage(folder)
    return about


class Coverage(NamedTuple):
    """How many papers of an index its graph knows."""

    indexed: int
    citing: int
    cited: int


def coverage_of(folder: Path) -> tuple[About, Coverage]:
    """What the graph of an index says of itself, and how many papers of the index it knows.

    Raises:
        NothingFound: if it has none.
    """
    with holding(folder) as manifest, closing(segmented_corpus(folder, manifest)) as corpus:
        if not manifest.citations:
            raise NothingFound(f"index {folder.name} has no citations", remedy="import-citations")
        graph = Graph(folder / manifest.citations)
        works = graph.find(list(corpus.ids()))
        citing, cited = graph.reference_counts(works) > 0, graph.counts(works) > 0
        return graph.about, Coverage(len(corpus), int(citing.sum()), int(cited.sum()))
