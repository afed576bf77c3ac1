"""Bibcodes of ADS: how papers get theirs, and which papers one names."""

from dataclasses import replace
from datetime import date

import pytest

from astrosearch.papers import Paper
from astrosearch.text.bibcode import (
    Bibcode,
    bibcode,
    is_bibcode_of,
    journal_bibcode,
    parse_bibcode,
    preprint_bibcode,
)


def a_paper(
    journal_ref: str | None = None,
    *,
    doi: str | None = None,
    id: str = "1803.00001",
    author: str = "Łucja Nowak",
) -> Paper:
    day = date(2018, 3, 1)
    return Paper(id, "T", "A.", (author,), (), day, doi=doi, journal_ref=journal_ref)


@pytest.mark.parametrize(
    ("id", "code"),
    [
        ("2309.06126", "2023arXiv230906126N"),
        ("1412.0001", "2014arXiv1412.0001N"),
        ("0704.0001", "2007arXiv0704.0001N"),
        ("astro-ph/9311034", "1993astro.ph.11034N"),
        ("astro-ph/0501013", "2005astro.ph..1013N"),
        ("hep-th/0408048", "2004hep.th....8048N"),
        ("math/0306266", "2003math......6266N"),
        ("gr-qc/9310026", "1993gr.qc....10026N"),
        ("cond-mat/9706061", "1997cond.mat..6061N"),
    ],
)
def test_a_preprint_has_its_identifier_in_its_bibcode(id: str, code: str) -> None:
    assert bibcode(a_paper(id=id)) == code
    assert len(code) == 19


@pytest.mark.parametrize(
    ("author", "initial"),
    [
        ("Maartje van der Berg", "V"),
        ("J. in 't Veld", "I"),
        ("G. 't Lamp", "T"),
        ("Étienne Ørsted", "O"),
        (r"B. \'{E}toile", "E"),
        ("Ðóra Þórsdóttir", "T"),
        ("Poe, Sam", "P"),
        ("Sam Poe Jr.", "P"),
        ("The Lighthouse Collaboration", "T"),
        ("張三", "."),
    ],
)
def test_a_bibcode_ends_with_the_initial_of_the_first_author(author: str, initial: str) -> None:
    assert preprint_bibcode(a_paper(author=author)) == f"2018arXiv180300001{initial}"
    assert preprint_bibcode(replace(a_paper(), authors=()))[-1] == "."


@pytest.mark.parametrize(
    ("journal_ref", "code"),
    [
        ("ApJ 876, 85 (2019)", "2019ApJ...876...85N"),
        ("Astrophys.J.663:1149-1173,2007", "2007ApJ...663.1149N"),
        ("The Astrophysical Journal, 855:12 (20pp), 2018 March 1", "2018ApJ...855...12N"),
        ("Astrophys.J. 598 (2003) L37-L40", "2003ApJ...598L..37N"),
        ("ApJL, 2019, 875, L1", "2019ApJ...875L...1N"),
        ("Astrophys.J.Suppl. 235 (2018) 42", "2018ApJS..235...42N"),
        ("AJ 116, 1009 (1998)", "1998AJ....116.1009N"),
        ("A&A 616, A1 (2018)", "2018A&A...616A...1N"),
        (r"Astronomy \& Astrophysics, Volume 616, id.A101, 22 pp. (2018)", "2018A&A...616A.101N"),
        ("A&A 640, L1 (2020)", "2020A&A...640L...1N"),
        ("Astron.Astrophys.371:908-916,2001", "2001A&A...371..908N"),
        ("Mon. Not. R. Astron. Soc. 426, 241 (2012)", "2012MNRAS.426..241N"),
        ("MNRAS Letters 404, L64 (2010)", "2010MNRAS.404L..64N"),
        ("PASP 125, 306 (2013)", "2013PASP..125..306N"),
        ("PASP, 131:018002 (13pp), 2019", "2019PASP..131a8002N"),
        ("Publ. Astron. Soc. Japan 64 (2012) 50", "2012PASJ...64...50N"),
        ("PASA 30 (2013) e003", "2013PASA...30....3N"),
        ("Nature 551, 80 (2017)", "2017Natur.551...80N"),
        ("Nature Astronomy, Volume 2, p. 38-44 (2018)", "2018NatAs...2...38N"),
        ("Science 358, 1556 (2017)", "2017Sci...358.1556N"),
        ("Phys.Rev.D97:043007,2018", "2018PhRvD..97d3007N"),
        ("Phys. Rev. D97 (2018) no.4, 043007", "2018PhRvD..97d3007N"),
        ("Phys. Rev. D 58, 3505 (1998)", "1998PhRvD..58.3505N"),
        ("Phys. Rev. Lett. 116, 061102 (2016)", "2016PhRvL.116f1102N"),
        ("JCAP 1902 (2019) 056", "2019JCAP...02..056N"),
        ("JCAP02(2019)056", "2019JCAP...02..056N"),
        ("JCAP 0706:013,2007", "2007JCAP...06..013N"),
        ("JHEP 01 (2015) 001", "2015JHEP...01..001N"),
        ("Class.Quant.Grav.27:084006,2010", "2010CQGra..27h4006N"),
        ("Eur.Phys.J. C80 (2020) 123", "2020EPJC...80..123N"),
        ("Annu. Rev. Astron. Astrophys. 2012. 50:531-608", "2012ARA&A..50..531N"),
        ("Icarus 205 (2010) 1-10", "2010Icar..205....1N"),
        ("Astrophys.Space Sci. 331 (2011) 1", "2011Ap&SS.331....1N"),
        ("Space Sci Rev (2018) 214:12", "2018SSRv..214...12N"),
        ("PNAS 108, 12345 (2011)", "2011PNAS..10812345N"),
    ],
)
def test_a_journals_bibcode_is_read_from_the_reference(journal_ref: str, code: str) -> None:
    assert bibcode(a_paper(journal_ref)) == code
    parts = parse_bibcode(code)
    assert parts is not None
    assert str(parts) == code
    assert is_bibcode_of(parts, a_paper(journal_ref))
    assert not is_bibcode_of(parts, a_paper(journal_ref, author="Ana Sol"))
    assert not is_bibcode_of(parts, a_paper("ApJ 999, 1 (2026)"))


@pytest.mark.parametrize(
    ("doi", "code"),
    [
        ("10.1103/PhysRevD.97.043007", "2018PhRvD..97d3007N"),
        ("10.1103/PhysRevLett.116.061102", "2016PhRvL.116f1102N"),
        ("10.1088/0004-637X/745/2/156", "2012ApJ...745..156N"),
        ("10.1088/2041-8205/741/1/L12", "2011ApJ...741L..12N"),
        ("10.1088/0067-0049/198/1/3", "2012ApJS..198....3N"),
        ("10.1088/1475-7516/2019/02/056", "2019JCAP...02..056N"),
        ("10.1007/JHEP01(2015)001", "2015JHEP...01..001N"),
        ("10.1088/0264-9381/27/8/084006", "2010CQGra..27h4006N"),
    ],
)
def test_some_dois_tell_the_bibcode(doi: str, code: str) -> None:
    assert bibcode(a_paper(doi=doi)) == code
    assert bibcode(a_paper("accepted", doi=doi)) == code


@pytest.mark.parametrize(
    ("journal_ref", "doi"),
    [
        ("Lamp Letters 5 (2012) 7", None),
        ("ApJ, in press (2018)", None),
        ("accepted by MNRAS", None),
        ("ApJ 876 (2019)", None),
        ("ApJ 876, 85 (2018)", None),  # the volume is of 2019
        ("A&A 616, 1 (2018)", None),  # its articles are A1, A2, ...
        ("Icarus 372, 114725 (2022)", None),  # ADS has only five places
        ("Nature Astronomy 1, 0040 (2017)", None),
        ("Proceedings of ApJ 876, 85, held in 2019", None),
        ("ApJ 876, 85 (2019); ApJ 877, 1 (2019)", None),
        (None, "10.1093/mnras/stx1234"),
        (None, "10.1051/0004-6361/201833910"),
        (None, "10.1086/518646"),
    ],
)
def test_what_is_not_certain_gives_no_journals_bibcode(
    journal_ref: str | None, doi: str | None
) -> None:
    assert journal_bibcode(a_paper(journal_ref, doi=doi)) is None
    assert bibcode(a_paper(journal_ref, doi=doi)) == "2018arXiv180300001N"


def test_a_collaboration_may_have_another_first_author_in_the_journal() -> None:
    paper = a_paper("Phys. Rev. Lett. 116, 061102 (2016)", author="The Lamp Collaboration")
    assert bibcode(paper) == "2018arXiv180300001T"
    code = parse_bibcode("2016PhRvL.116f1102A")
    assert code is not None
    assert is_bibcode_of(code, paper)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2019ApJ...875L...1E", Bibcode(2019, "ApJ", "875", "L1", "E")),
        ("2018A&A...616A...1G", Bibcode(2018, "A&A", "616", "A1", "G")),
        ("2018PhRvD..97d3007N", Bibcode(2018, "PhRvD", "97", "d3007", "N")),
        ("2019JCAP...02..056A", Bibcode(2019, "JCAP", "02", "056", "A")),
        ("2011PNAS..10812345.", Bibcode(2011, "PNAS", "108", "12345", "")),
        ("2019ApJ...875L...1", None),
        ("a word of 19 letters", None),
        ("2019ApJ............", None),
    ],
)
def test_a_bibcode_has_parts(text: str, parts: Bibcode | None) -> None:
    assert parse_bibcode(text) == parts
