"""Eight made-up papers: six on planets in dusty discs, two on neutron stars, one a year."""

from collections.abc import Iterator

from tests.conftest import kaggle_line

DISKS = "planets that form in the dusty disc around a young star"
PULSARS = "the crust of a neutron star cracks"
PAPERS = {
    "1101.0001": ("Rings of dust around young stars", DISKS, "Ada Berg, Tom Wu", "2011"),
    "1202.0002": ("Gaps that planets open in discs", DISKS, "Ada Berg, Nia Okafor", "2012"),
    "1303.0003": ("How discs lose their gas", DISKS, "Nia Okafor", "2013"),
    "1404.0004": ("Dust traps and planets", DISKS, "Bob Wu", "2014"),
    "1505.00005": ("Spirals that planets drive in discs", DISKS, "Tom Wu", "2015"),
    "1606.00006": ("A survey of dusty discs", DISKS, "Sam Poe", "2016"),
    "1707.00007": ("Pulsar glitches", PULSARS, "Lea Roe", "2017"),
    "1808.00008": ("Magnetar bursts", PULSARS, "Ada Roe", "2018"),
}


def lines_of(papers: dict[str, tuple[str, str, str, str]]) -> Iterator[str]:
    for number, (paper_id, (title, abstract, authors, year)) in enumerate(papers.items()):
        yield kaggle_line(
            0,
            id=paper_id,
            title=title,
            abstract=f"We study {abstract}.",
            authors=authors,
            doi=f"10.1000/Made.{number}",
            versions=[{"version": "v1", "created": f"Wed, 15 Jan {year} 00:00:00 GMT"}],
        )
