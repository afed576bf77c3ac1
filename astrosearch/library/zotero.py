"""Papers out of Zotero: its database file, or its web API
(https://www.zotero.org/support/dev/web_api/v3/basics).

Zotero holds its database while it runs. So a copy is read, with the journal beside it, and the
user's own file is never opened for writing. The web API is read over HTTP here, because pyzotero
needs an older bibtexparser than the library does.
"""

import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrosearch.errors import AstrosearchError, InputError, SetupError
from astrosearch.library.marks import Marks
from astrosearch.library.records import Record, author_and_year, entry, people, person
from astrosearch.text.markup import without_markup

if TYPE_CHECKING:
    import httpx2

Item = dict[str, Any]
"""An item in the form of the web API's `data`."""

SERVICE = "https://api.zotero.org"
LOCAL = "http://localhost:23119/api"
"""Where a running Zotero 7 answers, if its settings let other programs ask."""

PAGE = 100
"""Items of one answer, which is the most that the service gives."""

ATTEMPTS, LONGEST_WAIT = 4, 60.0
"""At one page; seconds that a service may ask for between two."""

TYPES = {
    "journalArticle": "article", "magazineArticle": "article", "newspaperArticle": "article",
    "book": "book", "bookSection": "incollection", "encyclopediaArticle": "incollection",
    "conferencePaper": "inproceedings", "thesis": "phdthesis", "report": "techreport",
    "manuscript": "unpublished",
}  # fmt: skip

NO_PAPERS = ("attachment", "note", "annotation")

FIELDS = {
    "title": "title",
    "publicationTitle": "journal",
    "bookTitle": "booktitle",
    "proceedingsTitle": "booktitle",
    "volume": "volume",
    "issue": "number",
    "pages": "pages",
    "publisher": "publisher",
    "university": "school",
    "institution": "institution",
    "DOI": "doi",
    "url": "url",
    "abstractNote": "abstract",
    "extra": "note",
    "archiveID": "eprint",
}
"""Zotero's fields by what an entry calls them; all others keep their names in lower case."""

_OF_THE_ITEM = frozenset(
    """key version itemType creators tags collections relations dateAdded dateModified parentItem
    note citationKey date inPublications deleted notes""".split()
)
_CITATION_KEY = re.compile(r"^\s*citation key\s*:\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_ARXIV = re.compile(r"arxiv\s*:\s*(\S+)", re.IGNORECASE)
_MONTH = re.compile(r"(?:1[5-9]|20)\d\d-(\d\d)")


def _records(items: Iterable[Item], names: Mapping[str, str]) -> Iterator[Record]:
    """The papers among items.

    Args:
        names: the names of collections by key.
    """
    papers: dict[str, Item] = {}
    notes: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if item.get("itemType") == "note" and item.get("parentItem"):
            notes[str(item["parentItem"])].append(str(item.get("note", "")))
        elif item.get("itemType") not in NO_PAPERS and not item.get("deleted"):
            papers[str(item.get("key"))] = item
    for key, item in papers.items():
        yield _record(item, names, notes[key])


def _record(item: Item, names: Mapping[str, str], notes: list[str]) -> Record:
    fields: dict[str, str] = {
        "author": people(_people(item, "author")),
        "editor": people(_people(item, "editor")),
    }
    for name, value in item.items():
        if name in _OF_THE_ITEM or not isinstance(value, str) or not value.strip():
            continue
        target = FIELDS.get(name) or re.sub(r"[^a-z0-9]", "", name.lower())
        fields[target] = f"{fields[target]}; {value}" if fields.get(target) else value
    date = str(item.get("date", ""))
    year = re.search(r"\b(?:1[5-9]|20)\d\d", date)
    fields["year"] = year[0] if year else ""
    if (month := _MONTH.search(date)) and month[1] != "00":
        fields["month"] = month[1]
    if match := _ARXIV.search(fields.get("eprint", "")):
        fields |= {"eprint": match[1], "archiveprefix": "arXiv"}
    elif "eprint" in fields:
        fields["archiveid"] = fields.pop("eprint")
    key = str(item.get("citationKey") or "")
    if found := _CITATION_KEY.search(str(item.get("extra", ""))):
        key = key or found[1]
        fields["note"] = _CITATION_KEY.sub("", str(item["extra"])).strip()
    if not key:
        first = next(iter(_objects(item.get("creators"))), {})
        key = author_and_year(str(first.get("lastName") or first.get("name") or ""), fields["year"])
    tags = [str(tag.get("tag") or "") for tag in _objects(item.get("tags")) if tag.get("type") != 1]
    tags += [names[one] for one in map(str, _list(item.get("collections"))) if one in names]
    mark = Marks(
        tags=tuple(dict.fromkeys(filter(None, map(as_tag, tags)))),
        note="\n".join(filter(None, (_plain(note) for note in notes))),
    )
    return Record(entry(TYPES.get(str(item.get("itemType")), "misc"), key, fields), mark)


def as_tag(text: str) -> str:
    """A tag that `papers.toml` takes."""
    return " ".join(re.sub(r"[,:\"'\x00-\x1f]", " ", text).split())[:80].strip()


def _plain(note: str) -> str:
    """A note of Zotero's, which is HTML, as text."""
    text = re.sub(r"<(?:/p|br|/li|/h\d|/div)[^>]*>", "\n", note, flags=re.IGNORECASE)
    lines = (
        " ".join(without_markup(re.sub(r"<[^>]+>", " ", line)).split()) for line in text.split("\n")
    )
    return "\n".join(filter(None, lines))


def _list(value: object) -> list[Any]:
    """A list; an empty one for what is none."""
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[Item]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _people(item: Item, kind: str) -> Iterator[str]:
    for one in _objects(item.get("creators")):
        if one.get("creatorType") == kind:
            yield person(
                str(one.get("lastName") or one.get("name") or ""), str(one.get("firstName") or "")
            )


# --- the database ---


def read_database(path: Path) -> list[Record]:
    """The papers of a `zotero.sqlite`, also while Zotero has it open.

    Raises:
        InputError: if it is not one, or cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="astrosearch-zotero-") as folder:
        copy = _copied(path, Path(folder))
        try:
            with closing(sqlite3.connect(copy)) as db:
                db.row_factory = sqlite3.Row
                items, names = _items(db)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} is not a Zotero database ({error})") from None
    return list(_records(items, names))


def _copied(path: Path, folder: Path) -> Path:
    """A copy of a database with its journal, of one moment: if it was written meanwhile, it is
    copied again."""
    for _ in range(ATTEMPTS):
        before = _stamps(path)
        for name in before:
            if (source := path.with_name(path.name + name)).exists():
                shutil.copyfile(source, folder / source.name)
        if _stamps(path) == before:
            return folder / path.name
        for file in folder.iterdir():
            file.unlink()
        time.sleep(0.5)
    raise InputError(f"{path} is being written all the time: wait until Zotero is idle")


def _stamps(path: Path) -> dict[str, tuple[int, int] | None]:
    stamps: dict[str, tuple[int, int] | None] = {}
    for name in ("", "-journal", "-wal"):
        try:
            status = path.with_name(path.name + name).stat()
            stamps[name] = (status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            stamps[name] = None
    return stamps


def _items(db: sqlite3.Connection) -> tuple[list[Item], dict[str, str]]:
    # What came by a feed was not chosen.
    not_kept = _ids(db, "deletedItems") | _ids(db, "feedItems")
    items: dict[int, Item] = {
        row["itemID"]: {
            "key": row["key"], "itemType": row["typeName"], "creators": [], "tags": [],
            "collections": [],
        }
        for row in db.execute(
            "SELECT itemID, key, typeName FROM items JOIN itemTypes USING (itemTypeID)"
            " ORDER BY itemID"
        )
        if row["itemID"] not in not_kept
    }  # fmt: skip
    for row in db.execute(
        """
        SELECT itemID, fieldName, value FROM itemData
        JOIN fields USING (fieldID) JOIN itemDataValues USING (valueID)
        """
    ):
        if row["itemID"] in items:
            items[row["itemID"]][row["fieldName"]] = str(row["value"])
    for row in db.execute(
        """
        SELECT itemID, firstName, lastName, creatorType FROM itemCreators
        JOIN creators USING (creatorID) JOIN creatorTypes USING (creatorTypeID)
        ORDER BY itemID, orderIndex
        """
    ):
        if row["itemID"] in items:
            items[row["itemID"]]["creators"].append(dict(row))
    for row in db.execute("SELECT itemID, name, type FROM itemTags JOIN tags USING (tagID)"):
        if row["itemID"] in items:
            items[row["itemID"]]["tags"].append({"tag": row["name"], "type": row["type"]})
    for row in db.execute("SELECT itemID, collectionID FROM collectionItems"):
        if row["itemID"] in items:
            items[row["itemID"]]["collections"].append(str(row["collectionID"]))
    for row in db.execute("SELECT itemID, parentItemID, note FROM itemNotes"):
        if row["itemID"] in items and row["parentItemID"] in items:
            items[row["itemID"]] |= {
                "note": row["note"],
                "parentItem": items[row["parentItemID"]]["key"],
            }
    thrown_away = _ids(db, "deletedCollections")
    names = {
        str(row["collectionID"]): as_tag(str(row["collectionName"]))
        for row in db.execute("SELECT collectionID, collectionName FROM collections")
        if row["collectionID"] not in thrown_away
    }
    return list(items.values()), names


def _ids(db: sqlite3.Connection, table: str) -> set[int]:
    """The first column of a table; nothing if there is no such table, as in an older database."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return set()
    return {row[0] for row in db.execute(f"SELECT * FROM {table}")}


# --- the web API ---


def read_web(owner: str) -> list[Record]:
    """The papers of a library at zotero.org.

    Args:
        owner: `users/12345`, `12345`, `groups/77`, or `local` for the Zotero that runs here.

    Raises:
        InputError: if there is no such library.
        SetupError: if it needs a key that is not given, or another one.
        AstrosearchError: if the service does not answer.
    """
    import httpx2

    base = os.environ.get("ZOTERO_API_URL") or (LOCAL if owner == "local" else SERVICE)
    place = "users/0" if owner == "local" else owner if "/" in owner else f"users/{owner}"
    if not re.fullmatch(r"(?:users|groups)/\d+", place):
        raise InputError(
            f"zotero:{owner} names no library: write zotero:users/NUMBER, zotero:groups/NUMBER or "
            "zotero:local"
        )
    headers = {"Zotero-API-Version": "3"}
    if key := os.environ.get("ZOTERO_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    with httpx2.Client(headers=headers, timeout=60.0, follow_redirects=True) as client:
        items = list(_pages(client, f"{base.rstrip('/')}/{place}/items"))
        collections = list(_pages(client, f"{base.rstrip('/')}/{place}/collections"))
    names = {str(one.get("key")): as_tag(str(one.get("name", ""))) for one in collections}
    return list(_records(items, names))


def _pages(client: "httpx2.Client", url: str) -> Iterator[Item]:
    start = 0
    while True:
        response = _answer(client, url, {"format": "json", "limit": PAGE, "start": start})
        try:
            page: list[Any] = response.json()
            items = [{**one["data"]} for one in page]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise AstrosearchError(f"{url} does not answer as Zotero does ({error})") from None
        yield from items
        start += len(page)
        if len(page) < PAGE:
            return


def _answer(client: "httpx2.Client", url: str, parameters: dict[str, Any]) -> "httpx2.Response":
    """An answer; the service is waited for if it asks for that."""
    import httpx2

    from astrosearch.retry_after import retry_after

    reason = ""
    for attempt in range(ATTEMPTS):
        try:
            response = client.get(url, params=parameters)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            time.sleep(0.5 * 2**attempt)
            continue
        if response.status_code == 200:
            if pause := retry_after(response.headers.get("Backoff", "")):
                time.sleep(min(pause, LONGEST_WAIT))
            return response
        reason = f"HTTP {response.status_code}"
        if response.status_code in (401, 403):
            raise SetupError(
                f"Zotero refuses {url} ({reason}): set ZOTERO_API_KEY to a key that may read it "
                "(zotero.org/settings/keys)"
            )
        if response.status_code == 404:
            raise InputError(f"there is no library at {url}")
        if response.status_code != 429 and response.status_code < 500:
            break
        pause = retry_after(response.headers.get("Retry-After", ""))
        time.sleep(min(pause if pause is not None else 2.0**attempt, LONGEST_WAIT))
    raise AstrosearchError(f"Zotero cannot be read at {url} ({reason}); try again later")
