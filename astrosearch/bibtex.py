"""A paper as a BibTeX entry, in the fields arXiv asks for.

`eprint`, `archivePrefix` and `primaryClass` are those of https://info.arxiv.org/help/hypertex/bibstyles.
"""

import re
import unicodedata

from astrosearch.papers import Paper
from astrosearch.tex import to_unicode

_GROUP_OF_PEOPLE = re.compile(
    r"\b(?:collaboration|consortium|team|group|project|survey|network|and)\b", re.IGNORECASE
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def key(paper: Paper) -> str:
    """A key that depends on this paper alone, and that no other paper has.

    >>> key(paper)  # by Fabian Hofmann and others, 1605.01938
    'hofmann2016_1605.01938'
    """
    name = last_name(to_unicode(paper.authors[0])) if paper.authors else ""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    letters = re.sub(r"[^a-z]", "", plain) or "arxiv"
    return f"{letters}{paper.published.year}_{paper.id.replace('/', '-')}"


def entry(paper: Paper) -> str:
    """The paper as `@misc`; TeX in its title stays TeX, made safe where it is broken."""
    fields = {
        "author": " and ".join(_author(name) for name in paper.authors),
        "title": f"{{{_safe(paper.title)}}}",
        "year": str(paper.published.year),
        "month": _MONTHS[paper.published.month - 1],
        "eprint": paper.id,
        "archivePrefix": "arXiv",
        "primaryClass": paper.categories[0] if paper.categories else "",
        "doi": paper.doi or "",
        "url": paper.url,
    }
    lines = [
        f"  {name} = {value if name == 'month' else f'{{{value}}}'},"
        for name, value in fields.items()
        if value
    ]
    return "\n".join([f"@misc{{{key(paper)},", *lines, "}"])


def last_name(name: str) -> str:
    """The family name of a name written given name first, with its particles.

    >>> last_name("Ewine F. van Dishoeck")
    'van Dishoeck'
    """
    words = name.split()
    if not words or _GROUP_OF_PEOPLE.search(name):
        return name
    if len(words) > 1 and words[-1].rstrip(".") in ("Jr", "Sr", "II", "III", "IV"):
        words = words[:-1]
    start = len(words) - 1
    while start > 1 and words[start - 1].islower():
        start -= 1
    return " ".join(words[start:])


def _author(name: str) -> str:
    safe = _safe(name)
    return f"{{{safe}}}" if _GROUP_OF_PEOPLE.search(name) or "," in name else safe


def _safe(text: str) -> str:
    r"""Text that BibTeX and TeX can read: pairs of braces and dollars, no bare `%`, `&`, `#`, `_`.

    >>> _safe("100% of $M_\\odot$ in A_B & {C")
    '100\\% of $M_\\odot$ in A\\_B \\& C'
    """
    text = re.sub(r"\\(?=\s|$)", " ", text)  # a lone backslash would eat what follows
    braces = re.sub(r"\\.", "", text)
    if _unbalanced(braces):
        text = re.sub(r"(?<!\\)[{}]", "", text).replace(r"\{", "").replace(r"\}", "")
    if braces.count("$") % 2:
        text = re.sub(r"(?<!\\)\$", r"\\$", text)
    parts = re.split(r"((?<!\\)\$[^$]*(?<!\\)\$)", text)
    parts[::2] = [re.sub(r"(?<!\\)[%&#_]", r"\\\g<0>", part) for part in parts[::2]]
    parts[::2] = [re.sub(r"(?<!\\)\^", r"\\^{}", part) for part in parts[::2]]
    parts[1::2] = [re.sub(r"(?<!\\)[%&#]", r"\\\g<0>", part) for part in parts[1::2]]
    return "".join(parts)


def _unbalanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return True
    return depth != 0
