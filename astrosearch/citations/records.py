"""Records of works and what they cite, in the layouts of those who publish them.

A work may come under several names, and what a name stands for may be said in another record, or
in another file. README.md in this folder lists the layouts.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from astrosearch.citations.builder import Name
from astrosearch.corpus.json_lines import json_records
from astrosearch.errors import CorpusError, RecordError

MOST = 10**8
"""Works that AstroMLab-5 could number; a larger number is a mistake."""


class Work(NamedTuple):
    """A work by all names that a record has for it, and the works that it cites."""

    names: Sequence[Name]
    references: Sequence[Name] = ()


def works_of(record: object) -> Iterator[Work]:
    """The works of which a record tells.

    Raises:
        RecordError: if it has none of the layouts.
    """
    if not isinstance(record, dict):
        raise RecordError("not an object", f"{record!r:.60}")
    for keys, read in _LAYOUTS:
        if all(key in record for key in keys):
            try:
                yield from read(record)
            except (TypeError, AttributeError, KeyError, ValueError) as error:
                raise RecordError("wrong layout", f"{type(error).__name__}: {error}") from None
            return
    raise RecordError("unknown layout", f"it has {', '.join(map(str, record))[:60]}")


def _astromlab(record: dict[str, Any]) -> Iterator[Work]:
    # https://github.com/tingyuansen/astro-ph_knowledge_graph
    numbers = [record["paper_idx"], *(record.get("references") or ())]
    if not set(map(type, numbers)) <= {int} or not 0 <= min(numbers) <= max(numbers) < MOST:
        raise ValueError(f"a number that is not from 0 to {MOST:,}")
    yield Work([numbers[0], *_texts(record.get("all_bibcodes"))], numbers[1:])


def _corpus_citation(record: dict[str, Any]) -> Iterator[Work]:
    # "citations" of https://api.semanticscholar.org/api-docs/datasets
    cited = record["citedcorpusid"]
    if record["citingcorpusid"] is not None:
        yield Work([f"s2:{record['citingcorpusid']}"], [] if cited is None else [f"s2:{cited}"])


def _corpus_paper(record: dict[str, Any]) -> Iterator[Work]:
    # "papers" of the same
    yield Work([f"s2:{record['corpusid']}", *_external(record["externalids"])])


def _graph_paper(record: dict[str, Any]) -> Iterator[Work]:
    # https://api.semanticscholar.org/api-docs/graph
    cited = [each.get("citedPaper", each) for each in _objects(record.get("references"))]
    cited = _objects(cited)
    for each in cited:
        if each.get("externalIds"):
            yield Work(_s2_names(each))
    yield Work(_s2_names(record), [names[0] for each in cited if (names := _s2_names(each))])


def _s2_names(record: dict[str, Any]) -> list[str]:
    own = [f"s2:{record['paperId']}"] if record.get("paperId") else []
    return [*own, *_external(record.get("externalIds"))]


def _external(ids: Mapping[str, Any] | None) -> list[str]:
    by_name = {name.lower(): value for name, value in (ids or {}).items() if value}
    corpus = [f"s2:{by_name['corpusid']}"] if "corpusid" in by_name else []
    return [*corpus, *(str(by_name[name]) for name in ("arxiv", "doi") if name in by_name)]


def _openalex(record: dict[str, Any]) -> Iterator[Work]:
    # https://developers.openalex.org/api-reference/works
    yield Work(openalex_names(record), _texts(record.get("referenced_works")))


def openalex_names(record: dict[str, Any]) -> list[str]:
    """The names of a work of OpenAlex: its number, its DOI, and the arXiv identifier among the
    places where it is to be had."""
    names = [str(record["id"])]
    ids = record.get("ids") or {}
    names += [str(doi) for doi in (record.get("doi") or ids.get("doi"),) if doi]
    for place in _objects(record.get("locations")):
        address = str(place.get("landing_page_url") or "")
        if "arxiv.org/abs/" in address or "10.48550/arxiv." in address.lower():
            names.append(address)
    return names


def _ads(record: dict[str, Any]) -> Iterator[Work]:
    # https://ui.adsabs.harvard.edu/help/api/
    yield Work(ads_names(record), _texts(record.get("reference")))


def ads_names(record: dict[str, Any]) -> list[str]:
    """The names of a record of ADS: its bibcodes, its DOIs, its arXiv identifier."""
    names = [record["bibcode"], *_texts(record.get("doi")), *_texts(record.get("identifier"))]
    # An identifier may be of another kind; those of ASCL and the like name no work of ours.
    return [str(name) for name in dict.fromkeys(names) if not str(name).startswith("ascl:")]


def _own(record: dict[str, Any]) -> Iterator[Work]:
    cited = record["references" if "references" in record else "relevant"]
    names = [str(record[name]) for name in ("id", "doi") if record.get(name)]
    yield Work(names, _texts(cited))


def _texts(names: object) -> list[str]:
    """The names in a list, or in none; one that is not a text becomes one, which is refused later.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(names or [], list):
        raise TypeError(f"{names!r:.40} is not a list")
    several = cast(list[object], names or [])
    if set(map(type, several)) <= {str}:
        return cast(list[str], several)
    return [each if isinstance(each, str) else _name(each) for each in several]


def _objects(values: Iterable[Any] | None) -> list[dict[str, Any]]:
    """The objects in a list; services put null where they know nothing."""
    return [each for each in values or () if isinstance(each, dict)]


def _name(reference: object) -> str:
    known = reference if isinstance(reference, dict) else {}
    return str(known.get("id") or known.get("doi") or reference)


_LAYOUTS = (
    (("paper_idx",), _astromlab),
    (("citingcorpusid", "citedcorpusid"), _corpus_citation),
    (("corpusid", "externalids"), _corpus_paper),
    (("paperId",), _graph_paper),
    (("id", "referenced_works"), _openalex),
    (("id", "ids"), _openalex),
    (("bibcode", "reference"), _ads),
    (("bibcode", "identifier"), _ads),
    (("id", "references"), _own),
    (("doi", "references"), _own),
    (("id", "relevant"), _own),
)


class Line(NamedTuple):
    """A line of a file: the works that it tells of, or why it tells of none."""

    number: int
    works: Sequence[Work]
    problem: RecordError | None = None


def lines_of(path: Path) -> Iterator[Line]:
    """What each line of a file says, plain or packed.

    Raises:
        CorpusError: if the file is missing, a folder, or neither JSON nor a table of AstroMLab-5.
        AstrosearchError: if it breaks off in the middle.
    """
    if ".csv" in path.suffixes:
        yield from _table(path)
        return
    for number, content in json_records(path):
        try:
            yield Line(number, list(works_of(orjson.loads(content))))
        except orjson.JSONDecodeError:
            yield Line(
                number, (), RecordError("broken JSON", content[:60].decode(errors="replace"))
            )
        except RecordError as error:
            yield Line(number, (), error)


_COLUMNS = (("identifier_idx", "identifier"), ("paper_idx", "arxiv_id"))
"""Of the tables of AstroMLab-5 that say which work a number is."""


def _table(path: Path) -> Iterator[Line]:
    try:
        open_ = gzip.open if path.suffix == ".gz" else open
        with (
            open_(path, "rb") as binary,
            io.TextIOWrapper(binary, encoding="utf-8", newline="") as stream,
        ):
            rows = csv.reader(stream)
            head = next(rows, [])
            columns = [
                (head.index(number), head.index(name))
                for number, name in _COLUMNS
                if number in head and name in head
            ]
            if not columns:
                wanted = " or ".join(", ".join(pair) for pair in _COLUMNS)
                raise CorpusError(f"{path} is a table without the columns {wanted}")
            number, name = columns[0]
            for row in rows:
                if (
                    len(row) > max(number, name)
                    and row[number].isdecimal()
                    and len(row[number]) < 9
                ):
                    yield Line(rows.line_num, [Work([int(row[number]), row[name]])])
                else:
                    problem = RecordError("wrong layout", ",".join(row)[:60])
                    yield Line(rows.line_num, (), problem)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read ({error})") from None
