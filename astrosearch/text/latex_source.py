r"""The source of a LaTeX document: its macros with their arguments, for a reader who does not run
TeX. Files that it reads in are not followed.
"""

import re
from collections.abc import Callable, Iterator

LONGEST_EXPANDED = 20_000
"""Characters of a text up to which the document's own macros are replaced in it."""

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*(?:\n[ \t]*(?!\n))?")
_UNUSED = re.compile(r"\\begin\s*\{(comment)\}|\\(iffalse)(?![A-Za-z])|\\end\s*\{document\}")
_VERBATIM = re.compile(
    r"\\begin\s*\{(verbatim\*?|Verbatim|lstlisting|minted)\}"
    r"|\\verb\*?([^A-Za-z\s*])[^\n]{0,500}?\2"  # some end: many unclosed ones cost little
)
_CITE = re.compile(
    r"(?<!\\)\\([A-Za-z]*[cC]ite(?:s|[tp]|[tp]?alias|al[tp]|(?:full)?author(?:NP)?|year(?:par|NP)?"
    r"|num|n|title|date|url|A|NP|asnoun|affixed|online)?|defcitealias|footcitetexts?|bibentry)"
    r"\*?(?![A-Za-z])"
)
_KEYS = re.compile(r"(?:\s*\[[^\[\]]*\]|\s*<[^<>]*>)*\s*\{([^{}]*)\}")
_BETWEEN = re.compile(r"(?:\s*\([^()]*\))*")
"""What biblatex's \\cites takes before the first keys: notes in parentheses."""
_BIBITEM = re.compile(
    r"\\bibitem\s*(?:\[(?:[^\[\]{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\])?\s*\{([^{}]*)\}"
    r"(.*?)(?=\\bibitem(?![A-Za-z])|\\end\s*\{thebibliography\}|\Z)",
    re.DOTALL,
)
_BIBLATEX_ITEM = re.compile(
    r"\\entry\s*\{([^{}]*)\}(.*?)(?=\\entry(?![A-Za-z])|\\endentry(?![A-Za-z])|\Z)", re.DOTALL
)
_TITLE_FIELD = re.compile(r"\\(?:bibinfo|field)\s*\{\s*title\s*\}\s*(?=\{)")
_QUOTE = re.compile(r"``|“|(?<!\\)\"")
_QUOTE_ENDS = {"``": "''", "“": "”", '"': '"'}
_ITALIC_GROUP = re.compile(r"\{\s*\\(?:it|em|sl|itshape|slshape)(?![A-Za-z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_MACRO = re.compile(r"\\([A-Za-z]+)(?:\{\})?")
_OPTIONAL = re.compile(r"\s*\[[^\[\]]*\]")
_OWN = re.compile(
    r"\\(?:(?:re|provide)?(?:newcommand|command)|DeclareRobustCommand)\*?\s*(?:\{\s*)?"
    r"\\([A-Za-z]+)\s*(?:\}\s*)?(?=\{)|\\def\s*\\([A-Za-z]+)\s*(?=\{)"
)


def without_comments(source: str) -> str:
    r"""A source without comments, without what `\iffalse` and the environment `comment` leave out,
    and without what stands behind the end of the document.

    >>> without_comments("95\\% of it % no\n  here")
    '95\\% of it here'
    """

    def end(match: re.Match[str]) -> str:
        if match[1]:
            return r"\\end\s*\{comment\}"
        return r"\\fi(?![A-Za-z])" if match[2] else r"\Z"

    return _without(_COMMENT.sub(r"\1", source.replace("\r\n", "\n")), _UNUSED, end)


def without_verbatim(source: str) -> str:
    r"""A source without what it shows as it is typed, in which no macro acts."""

    def end(match: re.Match[str]) -> str:
        return rf"\\end\s*\{{{re.escape(match[1])}\}}" if match[1] else ""

    return _without(source, _VERBATIM, end)


def _without(source: str, beginning: re.Pattern[str], end: Callable[[re.Match[str]], str]) -> str:
    """A source without the stretches from a beginning to its end, a regular expression. What has no
    end stays; the source is searched for each kind of end in vain only once."""
    parts, kept, place = [], 0, 0
    missing: set[str] = set()
    while match := beginning.search(source, place):
        place = match.end()
        if (pattern := end(match)) in missing:
            continue
        if found := re.compile(pattern).search(source, place):
            parts.append(source[kept : match.start()])
            kept = place = found.end()
        else:
            missing.add(pattern)
    return "".join([*parts, source[kept:]])


def cited_keys(source: str) -> list[str]:
    r"""The keys that a source cites, none twice; `*` if all are. The macros are those of natbib,
    biblatex, apacite and harvard, and any whose name ends in `cite`. Others, `\citenamefont` or
    `\citeauthoryear`, only set a text.

    >>> cited_keys(r"\citep[see][]{Berg2001, Wu2011} \textcites{a}[3]{b} \citetext{no}")
    ['Berg2001', 'Wu2011', 'a', 'b']
    """
    keys: dict[str, None] = {}
    for match in _CITE.finditer(source):
        place, most = match.end(), 1
        if match[1].lower().endswith("cites"):
            between = _BETWEEN.match(source, place)
            place, most = between.end() if between else place, len(source)
        while most and (group := _KEYS.match(source, place)):
            place, most = group.end(), most - 1
            keys |= dict.fromkeys(part.strip() for part in group[1].split(","))
    return [key for key in keys if key and not set(key) & set(" \n\t#\\")]


def bibitems(source: str) -> dict[str, str]:
    r"""The texts of the `\bibitem`s of a source by their keys."""
    return {key.strip(): text for key, text in _BIBITEM.findall(source)}


def bbl_items(source: str) -> dict[str, str]:
    r"""The texts of the references of a `.bbl` by their keys: of BibTeX or of biblatex."""
    return bibitems(source) | {key.strip(): text for key, text in _BIBLATEX_ITEM.findall(source)}


def title_of_item(text: str) -> str:
    r"""The title in a text of `bibitems` or `bbl_items`, as far as it is marked as one: by a field
    of REVTeX, AASTeX or biblatex, by quotation marks, by `\newblock`, or else by italics, of which
    the longest counts. Empty if none is.

    >>> title_of_item(r"A. Berg, ``Rings of {D}ust,'' {\it ApJ} (2011)")
    'Rings of {D}ust,'
    """
    if field := _TITLE_FIELD.search(text):
        return text[field.end() + 1 : _closing(text, field.end()) - 1].strip()
    if quote := _QUOTE.search(text):
        end = text.find(_QUOTE_ENDS[quote[0]], quote.end())
        if end > 0:
            return text[quote.end() : end].strip()
    blocks = re.split(r"\\newblock(?![A-Za-z])", text)
    if len(blocks) > 2:  # authors, title, journal
        return blocks[1].strip()
    italics = [*arguments(text, "emph|textit|textsl"), *_italic_groups(text)]
    return max(italics, key=len, default="").strip()


def _italic_groups(text: str) -> Iterator[str]:
    """What stands in `{\\it …}`."""
    place = 0
    while match := _ITALIC_GROUP.search(text, place):
        place = _closing(text, match.start())
        yield text[match.end() : place - 1]


def bibliographies(source: str) -> list[str]:
    r"""The names of the BibTeX files that a source names, with their ending."""
    names = [
        name.strip()
        for group in arguments(source, "bibliography|addbibresource")
        for name in group.split(",")
        if name.strip()
    ]
    return [name if name.endswith(".bib") else f"{name}.bib" for name in names]


def arguments(source: str, macro: str) -> Iterator[str]:
    r"""What stands in the first braces behind each `\macro`, whose options in square brackets are
    skipped; not what stands in such an argument again.

    >>> list(arguments(r"\title[Dust]{Dust in {NGC} 1068}", "title"))
    ['Dust in {NGC} 1068']

    Args:
        macro: a name, or a regular expression of names.
    """
    place = 0
    for match in _macros(source, macro):
        if match.start() >= place and (opening := _opening(source, match.end())):
            place = _closing(source, opening)
            yield source[opening + 1 : place - 1]


def several_arguments(source: str, macro: str, most: int) -> list[str]:
    r"""Up to `most` arguments of the first `\macro` that has any."""
    for match in _macros(source, macro):
        if groups := _groups(source, match.end(), most):
            return groups
    return []


def without_macros(text: str, macro: str) -> str:
    r"""A text without some macros and their first arguments.

    >>> without_macros(r"A. Berg\thanks{of {X}}, B", "thanks")
    'A. Berg, B'
    """
    parts, place = [], 0
    for match in _macros(text, macro):
        if match.start() < place:
            continue
        parts.append(text[place : match.start()])
        place = match.end()
        if opening := _opening(text, place):
            place = _closing(text, opening)
    return "".join([*parts, text[place:]])


def environment(source: str, name: str) -> str | None:
    r"""What stands in the first environment of that name; None if there is none."""
    beginning, end = (
        re.compile(rf"\\{macro}\s*\{{{name}\}}", re.IGNORECASE) for macro in ("begin", "end")
    )
    if (first := beginning.search(source)) and (last := end.search(source, first.end())):
        return source[first.end() : last.start()]
    return None


def own_macros(source: str) -> dict[str, str]:
    r"""The macros without arguments that a document defines; not those in the definition of
    another.

    >>> own_macros(r"\newcommand{\agn}{NGC\,1068\xspace} \def\kms{km/s}")
    {'agn': 'NGC\\,1068', 'kms': 'km/s'}
    """
    macros = {}
    place = 0
    for match in _OWN.finditer(source):
        if match.start() >= place:
            place = _closing(source, match.end())
            if "#" not in (body := source[match.end() + 1 : place - 1]):
                macros[match[1] or match[2]] = body.replace(r"\xspace", "")
    return macros


def expanded(text: str, macros: dict[str, str]) -> str:
    """A text with a document's own macros replaced by what they stand for; one that would get
    longer than `LONGEST_EXPANDED` stays as it is."""
    for _ in range(4):  # macros may have macros in them
        bodies = [macros[name] for name in _MACRO.findall(text) if name in macros]
        if not bodies or len(text) + sum(map(len, bodies)) > LONGEST_EXPANDED:
            break
        text = _MACRO.sub(lambda match: macros.get(match[1], match[0]), text)
    return text


def _macros(source: str, macro: str) -> Iterator[re.Match[str]]:
    return re.finditer(rf"(?<!\\)\\(?:{macro})(?![A-Za-z])\*?", source)


def _groups(source: str, place: int, most: int) -> list[str]:
    """The contents of up to `most` groups in braces, one behind the other."""
    groups: list[str] = []
    while len(groups) < most and (opening := _opening(source, place)):
        place = _closing(source, opening)
        groups.append(source[opening + 1 : place - 1])
    return groups


def _opening(source: str, place: int) -> int:
    """Where a group begins behind options and white space; 0 if none does."""
    while option := _OPTIONAL.match(source, place):
        place = option.end()
    while source[place : place + 1].isspace():
        place += 1
    return place if source[place : place + 1] == "{" else 0


def _closing(source: str, opening: int) -> int:
    """The place behind the brace that closes the one at `opening`; the end if none does."""
    depth = 0
    for match in _BRACE.finditer(source, opening):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(source)
