"""Whether a paper was withdrawn, by its comments, its abstract and its title: who withdraws what.

Many papers speak of a withdrawal: of an earlier version, of another paper, from a journal, of an
instrument. One that was withdrawn says so of itself: "this paper has been withdrawn", "the authors
withdraw this paper", or in a clause of its own "withdrawn due to an error".
"""

import re

_PAPER = (
    r"(?:paper|article|manuscript|submission|preprint|e-?print|work|letter|contribution|note|"
    r"report|study|version|draft|document|posting)\b"
)
_GONE = (
    r"(?:withdrawn|retracted|removed(?=\s+(?:by\s+(?:the\s+)?(?:arxiv|admin|author|submitter|"
    r"moderator)|at\s+the\s+request)))\b"
)
_REMOVED = re.compile(r"removed\s+(?:by|at)\b")
"""What a notice has that says `removed`. Patterns without case find `withdrawn` with a dotless i
too, so this is asked of texts in ASCII alone."""
_ADVERBS = (
    r"(?:(?:now|hereby|since|temporarily|voluntarily|permanently|unfortunately|currently|therefore|"
    r"also|thus|hence|officially|formally|already|just|recently)\s+){0,2}"
)
_VERB = (
    rf"(?:is|was|(?:has|have|had)\s+{_ADVERBS}been|is\s+being|(?:will|must|should|shall)\s+be|"
    rf"(?:had|has|have|needs?|is|was)\s+to\s+be|"
    rf"(?:is\s+to|must|should|may)\s+be\s+(?:considered|regarded|treated)(?:\s+as)?)\s+{_ADVERBS}"
)
_NOT_ANOTHER = (
    r"(?!previous|earlier|first|old|original|former|prior|initial|last|companion|second|other|"
    r"accompanying|cited|published)"
)
_THIS = rf"(?:this|(?:the\s+)?present)\s+(?:{_NOT_ANOTHER}[a-z][a-z-]*\s+){{0,2}}{_PAPER}"
_THE = (
    r"(?:the|our|my)\s+(?:(?:present|current|entire|whole|full|submitted|above|arxiv|"
    rf"latest|new|revised|said)\s+){{0,2}}{_PAPER}"
)
# "of this paper", "in this work": something else is withdrawn.
_NO_PREPOSITION = "".join(
    rf"(?<!\b{word}\s)" for word in "of in to on for from with by about behind".split()
)
_THEIR = rf"(?:his|her|their)\s+{_PAPER}"
_ASIDE = r"(?:\s*\([^()]*\)|,[^,.;]{1,60},)?"

_START = r"(?:^|[.;:!?,(\[]\s*|\s[-–—=]+>?\s+|\b(?:and|but|so|that|therefore|hence)\s+)\W*"
_THIS_PAPER = re.compile(
    rf"""{_NO_PREPOSITION}\b{_THIS}{_ASIDE}\s+(?:{_VERB}|{_ADVERBS}){_GONE}
       | {_NO_PREPOSITION}\b{_THIS}\b[^.;:]{{0,60}}\band\s+{_VERB}{_GONE}""",
    re.IGNORECASE | re.VERBOSE,
)
_THE_PAPER = re.compile(rf"{_START}{_THE}{_ASIDE}\s+{_VERB}{_GONE}", re.IGNORECASE)
_IT = re.compile(rf"(?:^|[.;:!?]\s+)\W*(?:this|it)\s+{_VERB}{_GONE}", re.IGNORECASE)
_AUTHORS = re.compile(
    rf"""{_START}(?:(?:the|all|both)\s+)?(?:[a-z]+\s+)?(?:authors?|submitters?|we|i)(?:,[^,.;]{{1,40}},)?\s+
        (?:(?!of\b|by\b|from\b|in\b|not\b|never\b|almost\b|ask\s+(?!to\b)|urge|call|invite|suggest|
            argue|recommend)[\w'-]+\s+){{0,6}}?
        (?:withdraws?|withdrawing|withdrew|withdrawn|retract(?:s|ed|ing)?|
            (?:the\s+)?(?:withdrawal|retraction)\s+of)
        \s+(?:{_THIS}|{_THE}|{_THEIR})""",
    re.IGNORECASE | re.VERBOSE,
)

_REASON = (
    r"(?:due|because|by|as|since|owing|for|pending|until|at|on|under|per|with|without|\d+|"
    r"in\s+(?:favou?r|order|light|view)|after|and|but|to|temporarily|voluntarily|permanently|"
    r"following|upon|awaiting|while|when|so|before|from|will|see|through)\b"
)
_CLAUSE = re.compile(
    rf"""{_START}(?P<clause>(?P<noun>{_PAPER}\s+(?:{_VERB})?|has\s+been\s+)?{_ADVERBS}
            (?:{_GONE}|withdrawal\s+of\s+(?:{_THIS}|{_THE})))
        (?=\W*$|\s*[^\w\s-]|\s+[-–—]|\s+{_REASON})""",
    re.IGNORECASE | re.VERBOSE,
)
_TITLE = re.compile(
    rf"^\W*(?:{_PAPER}\s+)?{_GONE}(?:\s+{_PAPER})?(?:\W*$|\s*[:\])]|\s+[-–—]\s)", re.IGNORECASE
)

# From a journal the authors may well have gone to another one.
_ELSEWHERE = re.compile(
    r"""(?:\s+by\s+(?:(?:the|its|all)\s+)?(?:\w+\s+)?authors?)?\s+(?:
        from\s+(?!(?:the\s+|this\s+)?(?:arxiv|archive|e-?print|astro-ph|publication(?!\s+in)|
            server))
      | by\s+(?:nature\b|science\b|ap\.?j|aj\b|mnras|a&a|pr[bcdlx]\b|phys|
            pas[jp]\b|jcap|jhep|icarus)
      | by\s+the\s+(?!(?:[\w-]+\s+){0,2}(?:author|submitter|arxiv|admin|moderator|undersigned|
            collaboration|team))
      | (?:and|then|but)\s+(?:(?:now|later|then)\s+)?(?:re-?)?(?:submitted|accepted|published|sent))
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OF_ANOTHER = re.compile(
    r"""arxiv:\s*[\w-]*[\d/] | \b\d{4}\.\d{4,5}\b | \b[a-z-]+/\d{7} | \bet\ al
      | \b[a-z]{1,4}\s?\d{5,} | \b(?:re)?submitted\ to
      | \b(?:comments?|reply|companion|overlap|compare|response)\b\s+(?:on|to|of|with)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Another paper, an alert such as GRB 170817A, or a journal."""
_BY_ANOTHER = re.compile(r"\b(?:superseded|replaced|subsumed|merged|combined|duplicat)", re.I)
_BACK_AGAIN = re.compile(r"\b(?:restor|reinstat|un-?withdr|no\s+longer\s+withdrawn)", re.IGNORECASE)
_VERSION = re.compile(r"\bv(?:er(?:sion)?)?\.?\s*(\d{1,3})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<!\bal)[.;!?]+\s+")

_LONGEST_NOTICE = 1_000
"""Characters of a text that is read for it."""
_SHORT_ABSTRACT = 300
"""Characters; one that is shorter may be no more than a notice, and is judged like comments."""


def is_withdrawn(comments: str, abstract: str, title: str = "") -> bool:
    """Whether comments, abstract or title say that the paper itself was withdrawn.

    >>> is_withdrawn("12 pages; withdrawn owing to an error", "")
    True
    >>> is_withdrawn("Withdrawn from ApJ and resubmitted to MNRAS", "")
    False
    """
    if _TITLE.match(title[:100]) or _notice_withdraws(comments):
        return True
    if len(abstract) < _SHORT_ABSTRACT:
        return _notice_withdraws(abstract)
    return _abstract_withdraws(abstract)


def _notice_withdraws(text: str) -> bool:
    text = _shortened(text)
    if not text or _BACK_AGAIN.search(text):
        return False
    if any(_is_of_itself(text, pattern) for pattern in (_THIS_PAPER, _THE_PAPER, _IT, _AUTHORS)):
        return True
    return any(_is_clause_of_itself(match) for match in _CLAUSE.finditer(text))


def _abstract_withdraws(abstract: str) -> bool:
    """Of an abstract proper, in which "the paper" may be any paper, but in its first sentence."""
    text = _shortened(abstract)
    if not text:
        return False
    if any(_is_of_itself(text, pattern) for pattern in (_THIS_PAPER, _AUTHORS)):
        return True
    first = _SENTENCE_END.split(text, maxsplit=1)[0]
    match = _CLAUSE.match(first)
    bare = match is not None and first[match.end() : match.end() + 1] != ","
    return bare or _is_of_itself(first, _THE_PAPER)


def _shortened(text: str) -> str:
    """The part of a text that is read; empty if it speaks of no withdrawal."""
    folded = text[:_LONGEST_NOTICE].lower()
    if (
        "withdr" not in folded
        and "retract" not in folded
        and not ("removed" in folded and (_REMOVED.search(folded) or not text.isascii()))
    ):
        return ""
    return " ".join(text[:_LONGEST_NOTICE].split())


def _is_of_itself(text: str, pattern: re.Pattern[str]) -> bool:
    return any(not _ELSEWHERE.match(text, match.end()) for match in pattern.finditer(text))


def _is_clause_of_itself(match: re.Match[str]) -> bool:
    """Whether a clause such as "withdrawn due to an error" is about the paper that has it."""
    text, start = match.string, match.start("clause")
    if _ELSEWHERE.match(text, match.end()):
        return False
    # What is in brackets may speak of what stands before them, in whichever sentence.
    ends = [end.end() for end in _SENTENCE_END.finditer(text) if end.end() <= start]
    before = text[0 if text[start - 1 : start] == "(" else max(ends, default=0) : start]
    versions = [int(number) for number in _VERSION.findall(before)]
    if versions and max(versions) < max(map(int, _VERSION.findall(text))):
        return False
    if match["noun"] or _BY_ANOTHER.search(before):
        return True
    return _OF_ANOTHER.search(before) is None
