"""`astrosearch library push`, against a server that behaves as ADS documents its libraries."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Run
from tests.servers import QuietHandler, loopback

DOCS = {
    "2019ApJ...876...85R": ["arXiv:1903.07603", "2019arXiv190307603R", "10.3847/1538-4357/ab1422"],
    "1973A&A....24..337S": ["10.1000/old.1"],
    "2011A&A...500...12W": [],
    "2020MNRAS.490....1Z": ["arXiv:2001.00001"],
}

BIB = """\
@article{riess, title={Cepheids}, eprint={1903.07603}, archiveprefix={arXiv}, year=2019}
@article{same, title={Cepheids}, doi={10.3847/1538-4357/AB1422}, year=2019}
@article{old, title={Cosmic}, doi={10.1000/old.1}, year=1973}
@article{wu, title={Dust}, adsurl={https://ui.adsabs.harvard.edu/abs/2011A%26A...500...12W/abstract}}
@article{strange, title={Strange}, eprint={2412.00001}, archiveprefix={arXiv}}
@book{book, title={A book}, publisher={Press}, year=2001}
"""


@dataclass
class AdsService:
    """What the server holds: libraries by number, and what it was asked."""

    address: str = ""
    names: dict[str, str] = field(default_factory=dict)
    papers: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, object]:
        if path == "/biblib/libraries":
            start, rows = int(query["start"][0]), int(query["rows"][0])
            all_of_them = [
                {"id": number, "name": name, "num_documents": len(self.papers[number])}
                for number, name in self.names.items()
            ]
            return 200, {"libraries": all_of_them[start : start + rows], "count": len(self.names)}
        assert path == "/search/query"
        docs = [
            {"bibcode": bibcode, "identifier": [bibcode, *names]}
            for bibcode, names in DOCS.items()
            if any(f'"{name}"' in query["q"][0] for name in (bibcode, *names))
        ]
        return 200, {"response": {"docs": docs}}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        if path == "/biblib/libraries":
            if body["name"] in self.names.values():
                return 409, {"error": "Library name given already exists"}
            number = f"number-{len(self.names)}"
            self.names[number], self.papers[number] = body["name"], list(body["bibcode"])
            return 200, {"name": body["name"], "id": number, "description": "", "bibcode": []}
        library = self.papers[path.removeprefix("/biblib/documents/")]
        assert body["action"] == "add"
        valid = [one for one in body["bibcode"] if one in DOCS and one not in self.refuses]
        invalid = [one for one in body["bibcode"] if one not in valid]
        new = [one for one in valid if one not in library]
        library += new
        if invalid and not new:
            return 400, {"error": "Invalid identifiers specified"}
        return 200, {
            "number_added": len(new),
            **({"invalid_identifiers": invalid} if invalid else {}),
        }


@contextmanager
def serving() -> Iterator[AdsService]:
    service = AdsService()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            self._answer("GET", url.path, parse_qs(url.query))

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer("POST", urlsplit(self.path).path, body)

        def _answer(self, method: str, path: str, what: Any) -> None:
            service.asked.append((method, path, what))
            record: object
            if self.headers["Authorization"] != "Bearer a-token":
                status, record = 401, {"error": "Unauthorized"}
            else:
                status, record = (service.get if method == "GET" else service.post)(path, what)
            content = json.dumps(record).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with loopback(Handler) as service.address:
        yield service


@pytest.fixture
def ads(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AdsService]:
    (tmp_path / "own.bib").write_text(BIB)
    run("library", "add", tmp_path / "own.bib")
    with serving() as service:
        monkeypatch.setenv("ADS_API_URL", service.address)
        monkeypatch.setenv("ADS_API_TOKEN", "a-token")
        yield service


def test_papers_come_into_a_new_library_once(run: Run, ads: AdsService) -> None:
    said = run("library", "push", "--ads", "thesis").stderr
    assert "Added 3 papers to thesis at ADS, which is new; 2 not known to ADS" in said
    assert "strange: ADS does not know 2412.00001" in said
    assert "book: it has no arXiv identifier, DOI or bibcode" in said
    assert list(ads.names.values()) == ["thesis"]
    assert ads.papers["number-0"] == list(DOCS)[:3]
    made = next(
        what for method, path, what in ads.asked if (method, path) == ("POST", "/biblib/libraries")
    )
    assert made["public"] is False
    said = run("library", "push", "--ads", "thesis").stderr
    assert "Added 0 papers to thesis at ADS; 3 there already; 2 not known to ADS" in said
    assert ads.papers == {"number-0": list(DOCS)[:3]}


def test_what_a_library_at_ads_has_stays_there(run: Run, ads: AdsService) -> None:
    ads.names |= {f"n{place}": f"other {place}" for place in range(130)} | {"mine": "streams"}
    ads.papers |= {number: [] for number in ads.names} | {"mine": ["2020MNRAS.490....1Z"]}
    run("library", "tag", "wu", "--tag", "streams")
    said = run("library", "push", "--ads", "streams", "--in", "tag:streams").stderr
    assert "Added 1 paper to streams at ADS" in said
    assert ads.papers["mine"] == ["2020MNRAS.490....1Z", "2011A&A...500...12W"]
    assert not any(ads.papers[f"n{place}"] for place in range(130))


def test_nothing_is_changed_where_nothing_is_to_be(
    run: Run, ads: AdsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("library", "push", "--ads", "thesis", "--dry-run").stderr
    assert "ADS knows 3 of 6 papers" in said
    run("library", "tag", "strange", "--tag", "odd")
    assert (
        "none of 1 paper is known"
        in run("library", "push", "--ads", "odd", "--in", "tag:odd", code=4).stderr
    )
    run("library", "push", "--ads", " ", code=2)
    run("library", "push", code=2)
    run("library", "push", "--ads", "x", "--in", "tag:none", code=2)
    ads.names |= {"a": "twice", "b": "twice"}
    ads.papers |= {"a": [], "b": []}
    assert (
        "2 libraries at ADS are called twice"
        in run("library", "push", "--ads", "twice", code=1).stderr
    )
    assert not any(method == "POST" for method, *_ in ads.asked)
    monkeypatch.setenv("ADS_API_TOKEN", "wrong")
    assert "set ADS_API_TOKEN" in run("library", "push", "--ads", "thesis", code=3).stderr
    monkeypatch.delenv("ADS_API_TOKEN")
    monkeypatch.delenv("ADS_DEV_KEY", raising=False)
    assert "ADS wants a token" in run("library", "push", "--ads", "thesis", code=3).stderr


def test_what_ads_refuses_is_said(run: Run, ads: AdsService) -> None:
    ads.refuses = {"2011A&A...500...12W"}
    said = run("library", "push", "--ads", "thesis").stderr
    assert "wu: ADS refuses 2011A&A...500...12W" in said
    assert "Added 2 papers to thesis" in said
