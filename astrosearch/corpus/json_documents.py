"""Records in a JSON document, streamed in bounded memory.

A document is an array of records, an answer of a web service with such an array in it, or records
one after the other, each on as many lines as it likes. Its syntax is not checked, but its brackets
are counted: whoever reads a record finds out whether that is JSON.
"""

import re
from collections.abc import Iterable, Iterator

LISTS = frozenset((b"docs", b"data", b"entries", b"entry", b"papers", b"results"))
"""Names under which answers hold their records: `{"response": {"docs": [...]}}` of ADS,
`{"data": [...]}` of Semantic Scholar."""

LONGEST_STRING = 2**22
"""Bytes of a text within a document; the whole of it is in memory."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}"]', re.DOTALL)
_ARRAY = re.compile(rb"\[\s*(?:[][{]|null\b|$)")
_OBJECT_ON_LINES = re.compile(
    rb"""\{(?:[^\n]*[,{])?[ \t\r]*\n\s*" | \{[^\n]*\[[ \t\r]*\n\s*["{[]""", re.VERBOSE
)
_LIST_OF_RECORDS = b"*"


class UnfinishedDocument(Exception):
    """A document breaks off, or a bracket or a quotation mark is missing in it."""


def is_document(beginning: bytes) -> bool:
    """Whether a file that begins like that is a document; else each line of it is a record.

    >>> is_document(b'{"id": "2309.06126"}'), is_document(b'{"response": {"docs": [')
    (False, True)
    """
    if beginning[:1] == b"[":
        return _ARRAY.match(beginning) is not None
    reader = _Reader()
    for _ in reader.read(beginning.partition(b"\n")[0]):
        pass
    return reader.is_in_a_list or _OBJECT_ON_LINES.match(beginning) is not None


def records(blocks: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """The records of a document, each with the number of the line on which it begins.

    Args:
        longest: bytes; of a longer record only the beginning is given.

    Raises:
        UnfinishedDocument: if the document breaks off, after the last whole record.
    """
    reader = _Reader()
    for block in blocks:
        yield from reader.read(block)
        yield from reader.cut(longest)
    if reader.is_within:
        raise UnfinishedDocument


class _Reader:
    """Counts the brackets of a document that comes in blocks."""

    def __init__(self) -> None:
        self.is_in_a_list = False
        """Whether there has been a list of records."""
        self._text = b""  # from the record on that is being read
        self._read = 0
        self._begin: int | None = None  # of that record, in _text
        self._level = 0  # brackets around it
        self._brackets: list[bytes] = []
        self._name = b""  # the last string, which is the key of what begins behind it
        self._is_paper = False  # whether the outermost object has a title
        self._line = 1
        self._counted = 0  # lines are counted up to here

    @property
    def is_within(self) -> bool:
        """Whether something was begun that has not ended."""
        return bool(self._brackets) or self._read < len(self._text)

    def read(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """The records that end in a block."""
        text = self._text = self._text[self._start() :] + block
        for token in _TOKEN.finditer(text, self._read):
            sign = token[0]
            if sign == b'"':  # the string goes on in the next block
                self._read = token.start()
                if len(text) - self._read > LONGEST_STRING:
                    raise UnfinishedDocument
                return
            if sign[:1] == b'"':
                self._name = sign[1:-1]
                self._is_paper |= self._name == b"title" and self._brackets == [b"{"]
            elif sign in (b"{", b"["):
                self._open(sign, token.start())
            else:
                del self._brackets[-1:]
                if self._begin is not None and len(self._brackets) == self._level:
                    yield self._line_of(self._begin), text[self._begin : token.end()]
                    self._begin = None
        self._read = len(text)

    def _open(self, bracket: bytes, position: int) -> None:
        around = self._brackets
        if bracket == b"{":
            if self._begin is None and (not around or around[-1] == _LIST_OF_RECORDS):
                self._begin, self._level = position, len(around)
                self._is_paper = False
        elif not around or self._is_answer():
            # What was taken for a record is the answer of a service.
            bracket, self._begin, self.is_in_a_list = _LIST_OF_RECORDS, None, True
        around.append(bracket)

    def _is_answer(self) -> bool:
        """Whether the list that begins is that of a service's answer, and not one of a paper."""
        nested = self._brackets in ([b"{"], [b"{", b"{"])
        return nested and self._name in LISTS and not self._is_paper

    def cut(self, longest: int) -> Iterator[tuple[int, bytes]]:
        """The beginning of a record that has become too long; the rest of it is skipped."""
        if self._begin is not None and len(self._text) - self._begin >= longest:
            yield self._line_of(self._begin), self._text[self._begin : self._begin + longest]
            self._begin = None

    def _line_of(self, position: int) -> int:
        self._line += self._text.count(b"\n", self._counted, position)
        self._counted = position
        return self._line

    def _start(self) -> int:
        """Where the text begins that is still needed."""
        start = self._read if self._begin is None else self._begin
        self._line_of(start)
        self._read -= start
        self._counted = 0
        if self._begin is not None:
            self._begin = 0
        return start
