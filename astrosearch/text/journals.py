"""Where papers were published: references to journals as authors write them, and DOIs that tell.

`read_reference` takes `ApJ 912, 17 (2021)`, `Phys.Rev.D97:043007,2018` and what else arXiv's
records have apart. It understands all of a reference or nothing.
"""

import re
from typing import NamedTuple

from astrosearch.papers import Paper
from astrosearch.text.tex import one_line, to_unicode


class Journal(NamedTuple):
    """A journal that the whole field knows."""

    stem: str
    """Its code in bibcodes (https://ui.adsabs.harvard.edu/help/actions/journal-codes)."""
    name: str
    r"""As reference lists print it: what the macros of AASTeX, `\\apj` and the like, stand for."""
    is_letters: bool = False
    """Whether all of its papers are letters of a journal with the same stem."""


class Reference(NamedTuple):
    """Where a paper was published; what is not known is empty."""

    journal: str
    """As it was written, if `known` is None."""
    known: Journal | None
    year: int | None
    volume: str
    page: str
    """The first one, or the number of the article: `17`, `L7`, `A1`, `043007`."""
    last_page: str = ""
    note: str = ""
    """`Erratum: …`"""


# Stem, name in reference lists, and the names that records have, without articles and signs.
_TABLE = r"""
ApJ   | ApJ | apj, astrophysj, astrophysicaljournal, astrophysicalj, astrophysjournal, astrophj
ApJ-L | ApJL | apjl, apjlett, apjletters, astrophysjl, astrophysjlett, astrophysjletters, \
    astrophysicaljournalletters, astrophysicaljournallett, astrophysicaljlett, astrophysicaljl
ApJS  | ApJS | apjs, apjsuppl, apjsupp, apjsupplement, astrophysjs, astrophysjsuppl, \
    astrophysjsupp, astrophysjsupplser, astrophysjsupplement, astrophysjsupplementseries, \
    astrophysicaljournalsupplementseries, astrophysicaljournalsupplement, astrophysjsuppseries
AJ    | AJ | aj, astronj, astronomicaljournal, astronomicalj, astronjournal
A&A   | A&A | aa, astronastrophys, astronomyastrophysics, astronandastrophys, astrastrophys, \
    astronomyandastrophysics, aanda, astronastroph
A&AS  | A&AS | astronastrophyssuppl, astronastrophyssupplser, aasuppl, aasupp, \
    astronomyastrophysicssupplementseries, astronomyastrophysicssupplement
A&ARv | A&A Rev. | aarv, aarev, astronastrophysrev, astronomyastrophysicsreview
MNRAS | MNRAS | mnras, monnotrastronsoc, monnotroyastronsoc, monnotroyalastronsoc, \
    monnotrastrsoc, monnotroyastrsoc, monthlynoticesroyalastronomicalsociety, \
    monthlynoticesroyalastronsoc, monthlynotroyastronsoc
MNRAS-L | MNRAS | mnrasl, mnraslett, mnrasletters, monnotrastronsoclett, monnotroyastronsoclett, \
    monthlynoticesroyalastronomicalsocietyletters
PASP  | PASP | pasp, publastronsocpac, publastronsocpacific, publastrsocpac, \
    publicationsastronomicalsocietypacific
PASJ  | PASJ | pasj, publastronsocjpn, publastronsocjap, publastronsocjapan, \
    publicationsastronomicalsocietyjapan
PASA  | PASA | pasa, publastronsocaust, publastronsocaustral, publastronsocaustralia, \
    publicationsastronomicalsocietyaustralia
ARA&A | ARA&A | araa, annrevastronastrophys, annurevastronastrophys, \
    annualreviewastronomyastrophysics, annrevastronastroph
ARNPS | Annu. Rev. Nucl. Part. Sci. | annrevnuclpartsci, annurevnuclpartsci, arnps, \
    annualreviewnuclearparticlescience
AREPS | Annu. Rev. Earth Planet. Sci. | areps, annurevearthplanetsci, annrevearthplanetsci, \
    annualreviewearthplanetarysciences
Natur | Nature | nature, natur
NatAs | Nat. Astron. | natureastronomy, natureastron, natastron, natastro, natastronomy
NatPh | Nat. Phys. | naturephysics, naturephys, natphys
NatCo | Nat. Commun. | naturecommunications, naturecommun, natcommun
NatSR | Sci. Rep. | scientificreports, scirep
Sci   | Science | science
SciA  | Sci. Adv. | scienceadvances, sciadv
PNAS  | PNAS | pnas, procnatlacadsci, procnatacadsci, procnatlacadsciusa, procnatacadsciusa, \
    proceedingsnationalacademysciences
PhRvA | Phys. Rev. A | physreva, physicalreviewa, pra
PhRvC | Phys. Rev. C | physrevc, physicalreviewc, prc
PhRvD | Phys. Rev. D | physrevd, physicalreviewd, prd
PhRvE | Phys. Rev. E | physreve, physicalreviewe, pre
PhRvL | Phys. Rev. Lett. | physrevlett, physicalreviewletters, prl, physrevletters
PhRvX | Phys. Rev. X | physrevx, physicalreviewx, prx
PhRvR | Phys. Rev. Res. | physrevresearch, physrevres, physicalreviewresearch
RvMP  | Rev. Mod. Phys. | revmodphys, reviewsmodernphysics, rmp
RPPh  | Rep. Prog. Phys. | repprogphys, reptprogphys, reportsprogressphysics
PhR   | Phys. Rep. | physrep, physrept, physicsreports
PhLA  | Phys. Lett. A | physletta, physicslettersa
PhLB  | Phys. Lett. B | physlettb, physicslettersb, plb
NuPhA | Nucl. Phys. A | nuclphysa, nuclearphysicsa
NuPhB | Nucl. Phys. B | nuclphysb, nuclearphysicsb
EPJC  | Eur. Phys. J. C | eurphysjc, europeanphysicaljournalc, epjc
CQGra | Class. Quantum Gravity | classquantgrav, classquantumgrav, classquantumgravity, cqg, \
    classicalquantumgravity, classicalquantumgrav, classquantgravity
GReGr | Gen. Relativ. Gravit. | genrelgrav, genrelgravit, genrelativgravit, genrelativgrav, \
    generalrelativitygravitation, grg
IJMPA | Int. J. Mod. Phys. A | intjmodphysa, ijmpa, internationaljournalmodernphysicsa
IJMPD | Int. J. Mod. Phys. D | intjmodphysd, ijmpd, internationaljournalmodernphysicsd
MPLA  | Mod. Phys. Lett. A | modphysletta, modernphysicslettersa, mpla
JCAP  | JCAP | jcap, jcosmolastropartphys, journalcosmologyastroparticlephysics, \
    jcosmologyastroparticlephys, jcosmolastropphys
JHEP  | JHEP | jhep, jhighenergyphys, journalhighenergyphysics, jhighenergphys
APh   | Astropart. Phys. | astropartphys, astroparticlephysics, astroparticlephys, astropphys
NJPh  | New J. Phys. | newjphys, newjournalphysics, njp
PDU   | Phys. Dark Univ. | physdarkuniv, physicsdarkuniverse, pdu
PThPh | Prog. Theor. Phys. | progtheorphys, progresstheoreticalphysics
PTEP  | Prog. Theor. Exp. Phys. | ptep, progtheorexpphys
JPhG  | J. Phys. G | jphysg, journalphysicsg
LRR   | Living Rev. Relativ. | livingrevrel, livingrevrelativ, livingrevrelativity, \
    livingreviewsrelativity, livingrevrelat
LRSP  | Living Rev. Sol. Phys. | livingrevsolarphys, livingrevsolphys, livingreviewssolarphysics
Icar  | Icarus | icarus
P&SS  | Planet. Space Sci. | planetspacesci, planetaryspacescience, pss
PSJ   | PSJ | psj, planetscij, planetarysciencejournal
E&PSL | Earth Planet. Sci. Lett. | earthplanetscilett, earthplanetarescienceletters, epsl, \
    earthplanetarysciencesletters, earthplanetaryscienceletters
GeCoA | Geochim. Cosmochim. Acta | geochimcosmochimacta, geochimicaetcosmochimicaacta, \
    geochimicacosmochimicaacta
M&PS  | Meteorit. Planet. Sci. | meteoritplanetsci, meteoriticsplanetaryscience, maps
AsBio | Astrobiology | astrobiology
GeoRL | Geophys. Res. Lett. | geophysreslett, geophysicalresearchletters, grl
CeMDA | Celest. Mech. Dyn. Astron. | celestmechdynastron, celestmechdynastr, \
    celestialmechanicsdynamicalastronomy
SSRv  | Space Sci. Rev. | spacescirev, spacesciencereviews, spacescireviews, ssr, spacesciencerev
SoPh  | Sol. Phys. | solphys, solarphys, solarphysics, soph
AdSpR | Adv. Space Res. | advspaceres, advancesspaceresearch, asr
Ap&SS | Ap&SS | apss, astrophysspacesci, astrophysicsspacescience, astrophspacesci, astrosspacesci
AN    | Astron. Nachr. | an, astronnachr, astronomischenachrichten, astronomnachr
AcA   | Acta Astron. | acta, actaastron, actaastronomica, aca
NewA  | New Astron. | newastron, newastronomy, newa
NewAR | New Astron. Rev. | newastronrev, newastronomyreviews, newar, newastronreview
RAA   | Res. Astron. Astrophys. | raa, resastronastrophys, researchastronomyastrophysics, \
    researchinastronomyandastrophysics
ChJAA | Chin. J. Astron. Astrophys. | chjaa, cjaa, chinjastronastrophys, \
    chinesejournalastronomyastrophysics, chinjastronastroph
JKAS  | J. Korean Astron. Soc. | jkas, jkoreanastronsoc, journalkoreanastronomicalsociety
RMxAA | Rev. Mex. Astron. Astrofis. | rmxaa, revmexastronastrofis, revmexaa, \
    revistamexicanaastronomiayastrofisica, revistamexicanadeastronomiayastrofisica
MmSAI | Mem. Soc. Astron. Ital. | memsai, mmsai, memsocastronital, memsait, memsocastrit, \
    memoriedellasocietaastronomicaitaliana
BASI  | Bull. Astron. Soc. India | basi, bullastronsocindia, bullastrsocindia
JApA  | J. Astrophys. Astron. | japa, jastrophysastron, jastrophysastr, journalastrophysicsastronomy
ARep  | Astron. Rep. | astronrep, astronomyreports
AstL  | Astron. Lett. | astronlett, astronomyletters
RNAAS | RNAAS | rnaas, resnotesaas, researchnotesaas, resnotesamastronsoc, \
    researchnotesamericanastronomicalsociety
JATIS | J. Astron. Telesc. Instrum. Syst. | jatis, jastrontelescopesinstrumsyst, \
    jastrontelescinstrumsyst, jastrontelinstsys, journalastronomicaltelescopesinstrumentssystems
ExA   | Exp. Astron. | expastron, experimentalastronomy, exa
A&C   | Astron. Comput. | astroncomput, astronomycomputing
Univ  | Universe | universe
Galax | Galaxies | galaxies
Msngr | The Messenger | messenger, esomessenger
Obs   | The Observatory | observatory
"""
_ARTICLES = frozenset("the of and for in on".split())


def _key(name: str) -> str:
    return "".join(word for word in re.findall("[a-z]+", name.lower()) if word not in _ARTICLES)


def _journals() -> dict[str, Journal]:
    journals: dict[str, Journal] = {}
    for line in _TABLE.replace("\\\n", "").strip().split("\n"):
        stem, name, keys = (part.strip() for part in line.split("|"))
        journal = Journal(stem.removesuffix("-L"), name, is_letters=stem.endswith("-L"))
        journals |= {key.strip(): journal for key in keys.split(",")}
        journals.setdefault(_key(name), journal)
    return journals


_JOURNALS = _journals()


def journal_named(name: str) -> Journal | None:
    """A journal by its name, its usual abbreviations, or its initials.

    >>> journal_named("Mon. Not. R. Astron. Soc.").stem
    'MNRAS'
    """
    for part in (name, *re.split("[:/]", name)):  # PASJ: Publ. Astron. Soc. Japan
        if journal := _JOURNALS.get(_key(part)):
            return journal
    return None


# --- references ---

_LONGEST = 300
"""Characters of a reference that is read."""

_MONTH = r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_PAGE = r"[A-Za-z]{0,2}\d+[A-Za-z]?"
_YEAR = r"(?:19|20)\d\d"
_ADDED = re.compile(
    r"[\s,;.([]*\b((?:publisher'?s?\s*)?(?:erratum|addendum|corrigendum)\b.*)", re.I
)
_ADDRESS = re.compile(
    r"[\s,;(]*(?:\bdoi\b[:\s]*)?(?:https?://\S+|\b10\.\d{4,9}/\S+)|[\s,;([]*\barxiv:\s*\S+", re.I
)
_START = re.compile(
    rf"""\(?(?P<year>{_YEAR})?\)?[\s,.:]*
        (?P<journal>[^\W\d](?:[^\d(]|\((?![\s\d]))*?)
        [\s,.:;]*(?:\bvol(?:ume)?\b[\s.:]*|\bv\.\s*)?
        (?=\(?\d|[A-Z]\d)""",
    re.VERBOSE | re.IGNORECASE,
)
_PART = re.compile(
    rf"""[\s,;:.]+
      | \(?\s*\d+\s*(?:pp|pages|pgs)\b\.?\s*\)?                    # how many
      | \(\s*(?:{_MONTH}\s*(?:\d\d?\b)?[\s,]*)?(?P<year>{_YEAR})\s*(?:{_MONTH})?\s*\)
      | {_MONTH}\s*(?:\d\d?(?!\d))?
      | \(\s*(?P<bracketed_issue>\d{{1,3}})\s*\)
      | \b(?:no|nr|num(?:ber)?|iss(?:ue)?|n°|n)\b[\s.:]*(?P<issue>\d{{1,3}})
      | (?:\b(?:pp?|pages?|art(?:icle)?(?:\s*(?:no|num(?:ber)?|id))?|e?-?id)\b[\s.:]*)
        (?P<page>{_PAGE}(?:\s*[-–—]+\s*{_PAGE})?)
      | (?P<number>{_PAGE}(?:\s*[-–—]+\s*{_PAGE})?)(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)


def read_reference(text: str) -> Reference | None:
    """Where a reference says that a paper was published; None if any of it is not understood.

    >>> read_reference("Astrophys.J.663:1149-1173,2007")[2:6]
    (2007, '663', '1149', '1173')
    """
    text = " ".join(one_line(to_unicode(text[:_LONGEST])).split())
    note = ""
    if added := _ADDED.search(text):
        text, note = text[: added.start()], added[1]
        for opening, closing in ("()", "[]"):
            if note.count(closing) > note.count(opening):
                note = note.removesuffix(closing)
    text = _ADDRESS.sub("", text).strip(" ,;.")
    start = _START.match(text)
    foreign = any(sign.isdigit() and not sign.isascii() for sign in text)
    if start is None or foreign or len(text) >= _LONGEST:
        return None
    parts = _parts(text[start.end() :])
    if parts is None:
        return None
    name = start["journal"] + ("." if text[start.end("journal")] == "." else "")
    letter = parts.numbers[0][:1] if parts.numbers and journal_named(name) is None else ""
    if letter.isalpha() and journal_named(name + letter):  # Phys.Rev. D97
        name += letter
        parts.numbers[0] = parts.numbers[0][1:]
    known = journal_named(name)
    year, volume, page = _in_order(parts, start["year"], known)
    if not volume or (known is None and not (year and page)):
        return None
    first, _, last = (part.strip() for part in re.sub("[-–—]+", "-", page).partition("-"))
    return Reference(known.name if known else name, known, year, volume, first, last, note)


class _Parts(NamedTuple):
    year: str
    issue: str
    page: str
    numbers: list[str]
    """Without a label, in order."""


def _parts(text: str) -> _Parts | None:
    """What stands behind a journal's name; None if that is more than numbers and their labels."""
    labelled = {"year": "", "issue": "", "page": ""}
    numbers = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or match.end() == position:
            return None
        position = match.end()
        for name, value in match.groupdict().items():
            if value and name == "number":
                numbers.append(value)
            elif value:
                label = name.removeprefix("bracketed_")
                if labelled[label]:
                    return None
                labelled[label] = value
    return _Parts(**labelled, numbers=numbers)


def _in_order(
    parts: _Parts, year: str | None, known: Journal | None
) -> tuple[int | None, str, str]:
    """Year, volume and page of a reference; empty where they are not certain."""
    year, numbers = year or parts.year, list(parts.numbers)
    if not year:
        last, first = (numbers[-1], numbers[0]) if numbers else ("", "")
        if re.fullmatch(_YEAR, last):
            year = numbers.pop()
        elif re.fullmatch(_YEAR, first) and len(numbers) > (1 if parts.page else 2):
            year = numbers.pop(0)
    if known and known.stem in ("JCAP", "JHEP"):
        return _by_months(numbers, year, parts)
    volume, *rest = numbers or [""]
    page = parts.page or (rest.pop() if rest else "")
    if rest and not parts.issue:
        rest.pop()  # the issue
    if rest or not re.fullmatch(r"[A-Za-z]?\d{1,4}", volume):
        return None, "", ""
    return int(year) if year else None, volume, page


def _by_months(numbers: list[str], year: str, parts: _Parts) -> tuple[int | None, str, str]:
    """The same for JCAP and JHEP, whose volume is a month: `JCAP 07 (2013) 021`,
    `JCAP 1307:021,2013`, `JCAP 2013 (07), 021`."""
    page = parts.page or (numbers.pop() if len(numbers) > 1 or parts.issue else "")
    month = numbers[0] if numbers else parts.issue
    if re.fullmatch(_YEAR, month) and parts.issue:
        year, month = year or month, parts.issue
    if re.fullmatch(r"\d{4}", month):
        year, month = year or f"20{month[:2]}", month[2:]
    if len(numbers) > 1 or not re.fullmatch(r"0?[1-9]|1[0-2]", month):
        return None, "", ""
    return int(year) if year else None, month.zfill(2), page.zfill(3) if page else ""


# --- DOIs ---

_DOIS = [
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"10\.1103/physrev(?P<series>[a-ex]|lett)\.(?P<volume>\d+)\.(?P<page>\d+)", "Phys. Rev. "),
        (r"10\.(?:1088|3847)/0004-637x/(?P<volume>\d+)/\d+/(?P<page>l?\d+)", "ApJ"),
        (r"10\.(?:1088|3847)/2041-8205/(?P<volume>\d+)/\d+/(?P<page>l?\d+)", "ApJL"),
        (r"10\.(?:1088|3847)/0067-0049/(?P<volume>\d+)/\d+/(?P<page>\d+)", "ApJS"),
        (r"10\.(?:1088|3847)/0004-6256/(?P<volume>\d+)/\d+/(?P<page>\d+)", "AJ"),
        (r"10\.1088/0264-9381/(?P<volume>\d+)/\d+/(?P<page>\d+)", "CQG"),
        (r"10\.1088/1475-7516/(?P<year>\d{4})/(?P<volume>\d\d)/(?P<page>\d{3})", "JCAP"),
        (r"10\.1007/jhep(?P<volume>\d\d)\((?P<year>\d{4})\)(?P<page>\d{3})", "JHEP"),
    )
]


def reference_of_doi(doi: str) -> Reference | None:
    """Where a paper was published, if its DOI is one of those that tell volume and page.

    >>> reference_of_doi("10.1103/PhysRevD.97.043007")[2:5]
    (2018, '97', '043007')
    """
    for pattern, name in _DOIS:
        if match := pattern.fullmatch(doi.strip()):
            groups = match.groupdict()
            known = _JOURNALS[_key(name + groups.get("series", ""))]
            volume, page = groups["volume"], groups["page"].upper()
            year = groups.get("year") or year_of_volume(known.stem, volume)
            return Reference(known.name, known, int(year) if year else None, volume, page)
    return None


_VOLUMES = {
    # The first volume of a year, and how many a year has had since.
    "ApJ": (1995, 438, 18),
    "ApJS": (1995, 96, 6),
    "AJ": (1995, 109, 2),
    "PhRvA": (1970, 1, 2),
    "PhRvC": (1970, 1, 2),
    "PhRvD": (1970, 1, 2),
    "PhRvE": (1993, 47, 2),
    "PhRvL": (1959, 2, 2),
    "PhRvX": (2011, 1, 1),
    "CQGra": (1984, 1, 1),
}


def year_of_volume(stem: str, volume: str) -> int | None:
    """The year of a volume of a journal that has the same number of volumes each year.

    >>> year_of_volume("ApJ", "912"), year_of_volume("MNRAS", "480")
    (2021, None)
    """
    if stem not in _VOLUMES or not volume.isdecimal():
        return None
    year, first, number = _VOLUMES[stem]
    return year + (int(volume) - first) // number if int(volume) >= first else None


def published_in(paper: Paper) -> Reference | None:
    """Where a paper was published, by its journal reference, else by its DOI."""
    reference = read_reference(paper.journal_ref) if paper.journal_ref else None
    if reference is None or not reference.page:
        return (reference_of_doi(paper.doi) if paper.doi else None) or reference
    return reference
