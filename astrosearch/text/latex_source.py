r"""The source of a LaTeX document: its macros with their arguments, for a reader who does not run
TeX. Files that it reads in are not followed.
"""

import re
from collections.abc import Iterator

LONGEST_EXPANDED = 20_000
"""Characters of a text up to which the document's own macros are replaced in it."""

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*(?:\n[ \t]*(?!\n))?")
_UNUSED = re.compile(
    r"\\begin\s*\{comment\}.*?\\end\s*\{comment\}|\\iffalse(?![A-Za-z]).*?\\fi(?![A-Za-z])"
    r"|\\end\s*\{document\}.*",
    re.DOTALL,
)
_VERBATIM = re.compile(
    r"\\begin\s*\{(verbatim\*?|Verbatim|lstlisting|minted)\}.*?\\end\s*\{\1\}"
    r"|\\verb\*?([^A-Za-z\s*])[^\n]*?\2",
    re.DOTALL,
)
_CITE = re.compile(
    r"(?<!\\)\\([A-Za-z]*[cC]ite(?!style|reset|text)[A-Za-z]*|bibentry)\*?(?![A-Za-z])"
)
_KEYS = re.compile(r"(?:\s*\[[^\[\]]*\]|\s*<[^<>]*>)*\s*\{([^{}]*)\}")
_BETWEEN = re.compile(r"(?:\s*\([^()]*\))*")
"""What biblatex's \\cites takes before the first keys: notes in parentheses."""
_BIBITEM = re.compile(
    r"\\bibitem\s*(?:\[(?:[^\[\]{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\])?\s*\{([^{}]*)\}"
    r"(.*?)(?=\\bibitem(?![A-Za-z])|\\end\s*\{thebibliography\}|\Z)",
    re.DOTALL,
)
_OPTIONAL = re.compile(r"\s*\[[^\[\]]*\]")
_OWN = re.compile(
    r"\\(?:(?:re|provide)?(?:newcommand|command)|DeclareRobustCommand)\*?\s*\{?\s*\\([A-Za-z]+)\s*\}?"
    r"\s*(?=\{)|\\def\s*\\([A-Za-z]+)\s*(?=\{)"
)


def without_comments(source: str) -> str:
    r"""A source without comments, without what `\iffalse` and the environment `comment` leave out,
    and without what stands behind the end of the document.

    >>> without_comments("95\\% of it % no\n  here")
    '95\\% of it here'
    """
    return _UNUSED.sub("", _COMMENT.sub(r"\1", source.replace("\r\n", "\n")))


def without_verbatim(source: str) -> str:
    r"""A source without what it shows as it is typed, in which no macro acts."""
    return _VERBATIM.sub("", source)


def cited_keys(source: str) -> list[str]:
    r"""The keys that a source cites, none twice, by any macro that has `cite` in its name; `*` if
    all are.

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
    skipped.

    >>> list(arguments(r"\title[Dust]{Dust in {NGC} 1068}", "title"))
    ['Dust in {NGC} 1068']

    Args:
        macro: a name, or a regular expression of names.
    """
    for match in _macros(source, macro):
        if groups := _groups(source, match.end(), 1):
            yield groups[0]


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
    match = re.search(
        rf"\\begin\s*\{{{name}\}}(.*?)\\end\s*\{{{name}\}}", source, re.DOTALL | re.IGNORECASE
    )
    return match[1] if match else None


def own_macros(source: str) -> dict[str, str]:
    r"""The macros without arguments that a document defines.

    >>> own_macros(r"\newcommand{\agn}{NGC\,1068\xspace} \def\kms{km/s}")
    {'agn': 'NGC\\,1068', 'kms': 'km/s'}
    """
    return {
        match[1] or match[2]: body.replace(r"\xspace", "")
        for match in _OWN.finditer(source)
        if "#" not in (body := source[match.end() + 1 : _closing(source, match.end()) - 1])
    }


def expanded(text: str, macros: dict[str, str]) -> str:
    """A text with a document's own macros replaced by what they stand for; one that would get
    longer than `LONGEST_EXPANDED` stays as it is."""
    if not macros:
        return text
    pattern = re.compile(rf"\\({'|'.join(map(re.escape, macros))})(?![A-Za-z])(?:\{{\}})?")
    for _ in range(4):  # macros may have macros in them
        longer = pattern.sub(lambda match: macros[match[1]], text)
        if longer == text or len(longer) > LONGEST_EXPANDED:
            break
        text = longer
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
    for match in re.finditer(r"\\.|[{}]", source[opening:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return opening + match.end()
    return len(source)
