"""Papers, their arXiv identifiers and their categories.

The identifier schemes are described at https://info.arxiv.org/help/arxiv_identifier.html:
`archive/YYMMNNN` until March 2007, `YYMM.NNNN` until December 2014, `YYMM.NNNNN` since.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from astrosearch.errors import IdentifierError, InputError

# Archives that issued identifiers before April 2007 (https://arxiv.org/archive/).
OLD_ARCHIVES = frozenset(
    """acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas
    cond-mat cs dg-ga funct-an gr-qc hep-ex hep-lat hep-ph hep-th math math-ph mtrl-th nlin nucl-ex
    nucl-th patt-sol physics plasm-ph q-alg q-bio quant-ph solv-int supr-con""".split()
)

_WRAPPING = re.compile(
    r"""^(?:
        (?:https?://)?(?:[\w-]+\.)*(?:ar[x5]iv|alphaxiv)\.(?:labs\.arxiv\.)?org/
        (?:abs|pdf|html|format|ps|src|e-print|list)/
      | (?:https?://)?huggingface\.co/papers/
      | (?:abs|pdf)/
      | (?:https?://(?:dx\.)?doi\.org/|doi:\s*)?10\.48550/arxiv\.
      | oai:arxiv\.org:
      | arxiv(?::\s*|\s+)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_NEW = re.compile(r"^(\d\d)(\d\d)\.(\d{4,5})(?:v(\d{1,4}))?$", re.IGNORECASE | re.ASCII)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_STAMP = re.compile(r"\s*\[[a-zA-Z][\w.-]*\](?:\s+\d{1,2}\s+\w{3}\s+\d{4})?$")
"""`[astro-ph.IM]` and the day behind an identifier, as on the margin of a paper."""
_OLD = re.compile(
    r"^([a-z-]+)(?:\.[a-z-]{2,})?/(\d\d)(\d\d)(\d{3})(?:v(\d{1,4}))?$", re.IGNORECASE | re.ASCII
)


TextHash = bytes
"""The first 16 bytes of the sha256 of a text in UTF-8."""


def text_hash(text: str) -> TextHash:
    return hashlib.sha256(text.encode()).digest()[:16]


LONGEST_ID = 1_000
"""Most characters of a text that can be an identifier, or an address with one in it."""


class ArxivId(NamedTuple):
    """A normalised identifier without version, and the version if the text had one."""

    id: str
    version: int | None


def without_wrapping(text: str) -> str:
    """An identifier or address without invisible signs, brackets, quotes and stops around it."""
    bare = _INVISIBLE.sub("", text).strip().rstrip(".,;:!?")
    return _STAMP.sub("", bare).strip(" \t\n()[]<>{}\"'“”‘’`").rstrip(".,;:!?")


def parse_id(text: str) -> ArxivId:
    """Normalise any common way to write an arXiv identifier.

    >>> parse_id("https://arxiv.org/pdf/2309.06126v2.pdf")
    ArxivId(id='2309.06126', version=2)
    >>> parse_id("arXiv:astro-ph.GA/0601001")
    ArxivId(id='astro-ph/0601001', version=None)

    Raises:
        IdentifierError: if `text` is not an arXiv identifier, or has lost digits or its archive
            (as happens in spreadsheets and floats).
    """
    bare = text.strip()
    if len(bare) > LONGEST_ID:
        raise IdentifierError(
            f"{text[:40]!r}… of {len(bare):,} characters is not an arXiv identifier"
        )
    match = _NEW.match(bare)
    if not match:  # nearly all are in this form, and need no unwrapping
        bare = re.sub(r"\s*\[[\w.-]+\]$", "", bare)  # "arXiv:2309.06126 [astro-ph.IM]"
        bare = without_wrapping(bare)
        while (shorter := _WRAPPING.sub("", bare)) != bare:  # "abs/arXiv:2309.06126"
            bare = shorter
        bare = re.sub(r"[?#].*$", "", bare).rstrip("/")
        bare = re.sub(r"\.pdf$", "", bare, flags=re.IGNORECASE)
        match = _NEW.match(bare)

    if match:
        year, month, number, version = match.groups()
        digits = 5 if int(year) >= 15 else 4
        if not 1 <= int(month) <= 12 or int(year + month) < 704:
            raise IdentifierError(
                f"{text!r} is not an arXiv identifier: none has the year and month {year}{month}"
            )
        if len(number) != digits:
            raise IdentifierError(
                f"{text!r} is not an arXiv identifier: 20{year} has {digits} digits after the "
                f"point, this has {len(number)}"
            )
        return ArxivId(f"{year}{month}.{number}", int(version) if version else None)

    if match := _OLD.match(bare):
        archive, year, month, number, version = match.groups()
        archive = archive.lower()
        if archive not in OLD_ARCHIVES:
            raise IdentifierError(
                f"{text!r} is not an arXiv identifier: there is no archive {archive!r}"
            )
        if not 1 <= int(month) <= 12 or not 9107 <= _century(year) * 100 + int(month) <= 10703:
            raise IdentifierError(
                f"{text!r} is not an arXiv identifier: none has the year and month {year}{month}"
            )
        return ArxivId(f"{archive}/{year}{month}{number}", int(version) if version else None)

    if re.fullmatch(r"\d{7}(v\d+)?", bare):
        raise IdentifierError(
            f"{text!r} lacks its archive: the number alone is not unique, write astro-ph/{bare}"
        )
    raise IdentifierError(
        f"{text!r} is not an arXiv identifier: write 2309.06126 or astro-ph/0601001"
    )


_NEW_PREPRINT = re.compile(r"\d{4}arXiv(\d{4})\.?(\d{4,5})[A-Za-z.:]")
_OLD_PREPRINT = re.compile(r"\d\d(\d\d)([a-z]+(?:\.[a-z]+)?)\.*(\d{4,5})[A-Za-z.:]")


def arxiv_id_of_bibcode(bibcode: str) -> str | None:
    """The identifier in the ADS bibcode of a preprint; None if it is of something else.

    >>> arxiv_id_of_bibcode("2023arXiv230906126N"), arxiv_id_of_bibcode("1994astro.ph..1008M")
    ('2309.06126', 'astro-ph/9401008')
    """
    if match := _NEW_PREPRINT.fullmatch(bibcode):
        text = f"{match[1]}.{match[2]}"
    elif match := _OLD_PREPRINT.fullmatch(bibcode):
        text = f"{match[2].replace('.', '-')}/{match[1]}{match[3].zfill(5)}"
    else:
        return None
    try:
        return parse_id(text).id
    except IdentifierError:
        return None


def month_of_id(paper_id: str) -> date:
    """The first day of the month in which a normalised identifier was issued."""
    digits = paper_id.rpartition("/")[2]
    return date(1900 + _century(digits[:2]), int(digits[2:4]), 1)


def _century(two_digits: str) -> int:
    """An identifier's two-digit year, as years since 1900; arXiv began in 1991."""
    year = int(two_digits)
    return year if year >= 91 else year + 100


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper's metadata; texts keep their TeX.

    Field meanings follow the arXiv API manual (https://info.arxiv.org/help/api/user-manual.html).
    """

    id: str
    """Normalised identifier without version: `2309.06126`, `astro-ph/0601001`."""
    title: str
    abstract: str
    authors: tuple[str, ...]
    """Names in the order of the author list, given name first."""
    categories: tuple[str, ...]
    """The first one is the primary category."""
    published: date
    """Day of the first version; the first of the month where only the month is known."""
    updated: date | None = None
    """Day of the last change of the record."""
    doi: str | None = None
    version: int | None = None
    """Number of the version that title and abstract were taken from."""
    is_summary: bool = False
    """True if `abstract` is a summary that was not written by the authors."""
    journal_ref: str | None = None
    """Where it was published, as the authors write it: `ApJ 912, 1 (2021)`."""

    @property
    def text(self) -> str:
        """Title and abstract, on two lines."""
        return f"{self.title}\n{self.abstract}"

    @property
    def is_preprint(self) -> bool:
        """Whether it is in arXiv. A paper of the user's own may not be: `id` is then its key."""
        return bool(_NEW.match(self.id) or _OLD.match(self.id))

    @property
    def url(self) -> str:
        """The address of the abstract's page at arXiv; of a paper that is not there that of its
        DOI, or nothing."""
        if self.is_preprint:
            return f"https://arxiv.org/abs/{self.id}"
        return f"https://doi.org/{self.doi}" if self.doi else ""


LONGEST_CATEGORY = 50
"""Most characters of a category; arXiv's longest, such as `cond-mat.mtrl-sci`, have about 20."""


_ASTRO_PH = ("CO", "EP", "GA", "HE", "IM", "SR")
"""Its categories (https://arxiv.org/category_taxonomy); none is the name of an archive."""


def normal_category(text: str) -> str:
    """A category or archive as arXiv spells it.

    >>> normal_category(" ASTRO-PH.ga")
    'astro-ph.GA'

    Raises:
        InputError: if it is empty, longer than `LONGEST_CATEGORY`, or not a single category.
    """
    if len(text) > LONGEST_CATEGORY:
        raise InputError(
            f"a category of {len(text):,} characters is longer than {LONGEST_CATEGORY} characters"
        )
    archive, dot, subject = text.strip().partition(".")
    if not dot and archive.upper() in _ASTRO_PH:
        raise InputError(f"{text!r} is not a category; astro-ph.{archive.upper()} is one")
    if not re.fullmatch(r"[A-Za-z-]+", archive) or not re.fullmatch(r"[A-Za-z-]*", subject):
        raise InputError(f"{text!r} is not a category: write one, as astro-ph or astro-ph.GA")
    if not (dot and subject):
        return archive.lower()
    return f"{archive.lower()}.{subject.upper() if len(subject) == 2 else subject.lower()}"


def in_category(categories: tuple[str, ...], category: str, *, primary_only: bool = False) -> bool:
    """Whether one of a paper's categories is `category` or one of its subcategories.

    >>> in_category(("gr-qc", "astro-ph.HE"), "astro-ph")
    True

    Args:
        categories: the paper's categories, the primary one first.
        primary_only: whether only the primary category counts.
    """
    names = categories[:1] if primary_only else categories
    return category in names or any(name.startswith(f"{category}.") for name in names)
