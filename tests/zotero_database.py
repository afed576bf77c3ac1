"""A small Zotero database, with the tables and columns of Zotero 7 that hold papers."""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE itemTypes (itemTypeID INTEGER PRIMARY KEY, typeName TEXT);
CREATE TABLE fields (fieldID INTEGER PRIMARY KEY, fieldName TEXT);
CREATE TABLE items (itemID INTEGER PRIMARY KEY, itemTypeID INT, dateAdded TEXT, libraryID INT,
    key TEXT);
CREATE TABLE itemDataValues (valueID INTEGER PRIMARY KEY, value);
CREATE TABLE itemData (itemID INT, fieldID INT, valueID INT);
CREATE TABLE creators (creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT, fieldMode INT);
CREATE TABLE creatorTypes (creatorTypeID INTEGER PRIMARY KEY, creatorType TEXT);
CREATE TABLE itemCreators (itemID INT, creatorID INT, creatorTypeID INT, orderIndex INT);
CREATE TABLE tags (tagID INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE itemTags (itemID INT, tagID INT, type INT);
CREATE TABLE collections (collectionID INTEGER PRIMARY KEY, collectionName TEXT);
CREATE TABLE collectionItems (collectionID INT, itemID INT, orderIndex INT);
CREATE TABLE itemNotes (itemID INT, parentItemID INT, note TEXT, title TEXT);
CREATE TABLE deletedItems (itemID INT, dateDeleted TEXT);
CREATE TABLE feedItems (itemID INTEGER PRIMARY KEY, guid TEXT, readTime TEXT, translatedTime TEXT);
INSERT INTO itemTypes VALUES (1, 'journalArticle'), (2, 'book'), (3, 'note'), (4, 'attachment'),
    (5, 'preprint');
INSERT INTO creatorTypes VALUES (1, 'author'), (2, 'editor');
"""

TYPES = {"journalArticle": 1, "book": 2, "note": 3, "attachment": 4, "preprint": 5}


class ZoteroDatabase:
    """Filled item by item."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path)
        self.db.executescript(SCHEMA)
        self._next = 0
        self._fields: dict[str, int] = {}

    def add(
        self,
        kind: str,
        authors: tuple[tuple[str, str], ...] = (),
        tags: tuple[str, ...] = (),
        automatic: tuple[str, ...] = (),
        collection: str = "",
        **fields: str,
    ) -> int:
        self._next += 1
        item = self._next
        self.db.execute(
            "INSERT INTO items VALUES (?, ?, '2024-01-01', 1, ?)", (item, TYPES[kind], f"K{item}")
        )
        for name, value in fields.items():
            field = self._fields.setdefault(name, len(self._fields) + 1)
            self.db.execute("INSERT OR IGNORE INTO fields VALUES (?, ?)", (field, name))
            place = self._insert("itemDataValues (value)", (value,))
            self.db.execute("INSERT INTO itemData VALUES (?, ?, ?)", (item, field, place))
        for order, (given, family) in enumerate(authors):
            creator = self._insert("creators (firstName, lastName)", (given, family))
            self.db.execute("INSERT INTO itemCreators VALUES (?, ?, 1, ?)", (item, creator, order))
        for kind_of_tag, names in ((0, tags), (1, automatic)):
            for name in names:
                number = self._insert("tags (name)", (name,))
                self.db.execute(
                    "INSERT INTO itemTags VALUES (?, ?, ?)", (item, number, kind_of_tag)
                )
        if collection:
            number = self._insert("collections (collectionName)", (collection,))
            self.db.execute("INSERT INTO collectionItems VALUES (?, ?, 0)", (number, item))
        self.db.commit()
        return item

    def note(self, parent: int, html: str) -> None:
        item = self.add("note")
        self.db.execute("INSERT INTO itemNotes VALUES (?, ?, ?, '')", (item, parent, html))
        self.db.commit()

    def delete(self, item: int) -> None:
        self.db.execute("INSERT INTO deletedItems VALUES (?, '2024-02-02')", (item,))
        self.db.commit()

    def from_feed(self, item: int) -> None:
        self.db.execute("INSERT INTO feedItems VALUES (?, ?, NULL, NULL)", (item, f"feed:{item}"))
        self.db.commit()

    def _insert(self, into: str, values: tuple[str, ...]) -> int:
        marks = ", ".join("?" * len(values))
        return int(self.db.execute(f"INSERT INTO {into} VALUES ({marks})", values).lastrowid or 0)
