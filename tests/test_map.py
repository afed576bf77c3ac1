"""The map of an index: drawn, brought up to date, served, shown in a browser."""

import json
import re
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from astrosearch.errors import IndexDamaged, NothingFound
from astrosearch.index.map import SIDE, PaperMap, draw_map, read_map
from astrosearch.index.regions import Region, name_regions
from tests.conftest import Run, kaggle_line
from tests.servers import RunningServer, serving
from tests.test_page import browser, needs_browser  # noqa: F401


@pytest.fixture(scope="module")
def mapped_home(sampler_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("openTSNE")
    home = tmp_path_factory.mktemp("mapped")
    shutil.copytree(sampler_home, home, dirs_exist_ok=True)
    draw_map(home / "indexes" / "sampler")
    return home


@pytest.fixture(scope="module")
def server(mapped_home: Path) -> Iterator[RunningServer]:
    with serving(mapped_home, "--workers", "1") as running:
        yield running


@pytest.fixture
def folder(mapped_home: Path) -> Path:
    return mapped_home / "indexes" / "sampler"


def test_papers_on_the_same_things_lie_together(folder: Path) -> None:
    drawn = read_map(folder)
    places = dict(zip(drawn.ids, drawn.places.astype(float), strict=True))
    one, other = places["2503.14368"], places["astro-ph/9401008"]  # both on the Magellanic Stream
    apart = [float(np.hypot(*(place - one))) for place in places.values()]
    assert np.hypot(*(other - one)) < np.percentile(apart, 25)
    assert len(drawn) == len(set(drawn.ids)) == 264
    assert drawn.places.max() < SIDE


def test_the_same_map_is_not_drawn_twice(folder: Path) -> None:
    before = (folder / "map.npz").read_bytes()
    assert draw_map(folder)[1:] == (False, 0, 0)
    assert (folder / "map.npz").read_bytes() == before


def test_new_papers_are_placed_and_no_other_moves(
    run: Run, tmp_path: Path, tiny_llama: Path, home: Path
) -> None:
    pytest.importorskip("openTSNE")
    corpus = tmp_path / "papers.json"
    lines = [kaggle_line(n, title=f"Dust {n}", abstract=f"dust and gas {n}") for n in range(30)]
    corpus.write_text("\n".join(lines) + "\n")
    run("index", "one", "--corpus", corpus, "--encoder", tiny_llama)
    assert "30 papers, laid out anew" in run("map", "one").stderr
    old = read_map(home / "indexes" / "one")
    with corpus.open("a") as stream:
        stream.write(kaggle_line(77, title="Dust 7", abstract="dust and gas 7") + "\n")
    run("update", "one")
    assert "31 papers, 1 placed, 0 gone" in run("map", "one").stderr
    new = read_map(home / "indexes" / "one")
    places = dict(zip(new.ids, new.places.tolist(), strict=True))
    assert [places[name] for name in old.ids] == old.places.tolist()
    [fresh] = set(new.ids) - set(old.ids)
    assert old.places.min(axis=0).tolist() <= places[fresh]
    assert "as it was" in run("map", "one").stderr


def test_a_polygon_holds_the_papers_within_it() -> None:
    ids = ("in", "notch", "out")
    places = np.array([[10, 10], [50, 80], [200, 10]], np.uint16)
    zeros = np.zeros(3, np.uint8)
    drawn = PaperMap(1, "", ids, places, zeros.astype(np.uint16), zeros, ("a",), ())
    arrow = np.array([[0, 0], [100, 0], [100, 100], [50, 50], [0, 100]])
    assert drawn.within(arrow) == ["in"]


def test_a_region_is_named_by_what_is_commoner_there() -> None:
    rng = np.random.default_rng(0)
    titles = [f"A Survey of Dark Matter halos {n}" for n in range(30)]
    titles += [f"JWST spectra of exoplanets {n}" for n in range(30)]
    places = np.concatenate([rng.integers(0, 99, (30, 2)), rng.integers(900, 999, (30, 2))])
    names = {region.name for region in name_regions(places.astype(np.uint16), titles)}
    assert names & {"dark matter", "matter halos", "halos"}
    assert names & {"JWST", "JWST spectra", "spectra", "exoplanets"}


def test_a_map_that_is_not_there_or_damaged_is_said_to_be(
    folder: Path, tmp_path: Path, run: Run
) -> None:
    with pytest.raises(NothingFound, match="has no map"):
        read_map(tmp_path)
    (tmp_path / "map.npz").write_bytes((folder / "map.npz").read_bytes()[:-100])
    with pytest.raises(IndexDamaged, match=r"map\.npz cannot be read"):
        read_map(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--out", "map.pdf"), "has to end in .html"),
        (("--out", "nowhere/map.html"), "no such folder"),
        (("--plot", "map.gif"), "has to end in .png"),
        (("none",), "there is no index 'none'"),
    ],
)
def test_bad_input_is_a_line(
    run: Run, options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("map", *options, code=3 if options == ("none",) else 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_of_its_own_and_the_picture_are_whole(
    run: Run, mapped_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(mapped_home))
    run("map", "sampler", "--out", tmp_path / "map.html", "--plot", tmp_path / "map.png")
    page = (tmp_path / "map.html").read_text()
    assert "http://" not in page
    assert page.count("https://") == 1
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_the_map_is_served_as_bytes(server: RunningServer, folder: Path) -> None:
    response = server.get("/api/map")
    assert response.headers["content-type"] == "application/octet-stream"
    [length] = struct.unpack("<I", response.body[:4])
    header = json.loads(response.body[4 : 4 + length])
    drawn = read_map(folder)
    n = header["papers"]
    places = np.frombuffer(response.body, "<u2", 2 * n, 4 + length)
    assert places.tolist() == drawn.places.ravel().tolist()
    assert response.body[4 + length + 7 * n :].decode().split("\n") == list(drawn.ids)
    assert header["missing"] == 0


def test_a_part_of_the_map_is_a_filter(server: RunningServer, folder: Path) -> None:
    left = f"0,0,{SIDE // 2},0,{SIDE // 2},{SIDE},0,{SIDE}"
    drawn = read_map(folder)
    x = dict(zip(drawn.ids, drawn.places[:, 0].tolist(), strict=True))
    hits = server.get("/api/query", q="galaxies", k=100, area=left).json["hits"]
    assert hits
    assert all(x[hit["id"]] <= SIDE // 2 for hit in hits)
    listed = server.get("/api/query", k=100, area=left).json["hits"]
    assert listed
    assert all(x[hit["id"]] <= SIDE // 2 for hit in listed)
    near = server.get("/api/similar", id="2503.14368", k=50, area=left).json["hits"]
    assert near
    assert all(x[hit["id"]] <= SIDE // 2 for hit in near)
    nowhere = server.get("/api/query", q="galaxies", area="0,0,1,0,1,1").json
    assert nowhere["hits"] == []
    for bad in ("1,2,3", "1,2,3,4,5,6,7", "a"):
        assert server.get("/api/query", q="dust", area=bad).status == 400


def test_an_index_without_a_map_says_so(sampler_home: Path) -> None:
    with serving(sampler_home, "--workers", "1") as server:
        response = server.get("/api/map")
        assert response.status == 404
        assert "has no map" in response.json["detail"]


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[Page]:  # noqa: F811
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(100_000)
    expect.set_options(timeout=100_000)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    assert not errors
    context.close()


@needs_browser
def test_a_lasso_becomes_a_filter_that_can_be_shared(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.address}/?q=galaxies")
    page.locator("#map-button").click()
    expect(page.locator("#map-said")).to_contain_text("264 papers")
    page.locator("#lasso").click()
    box = page.locator("#map").bounding_box()
    assert box
    corners = [(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8)]
    for number, (across, down) in enumerate(corners):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=4)
        if number == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_url(re.compile(r"area=\d"))
    expect(page.locator("#leave-area")).to_be_visible()
    area = re.search(r"area=([\d%C,]+)", page.url)
    assert area
    expected = server.get("/api/query", q="galaxies", k=20, area=area[1].replace("%2C", ",")).json
    expect(page.locator(".hit")).to_have_count(len(expected["hits"]))
    page.locator("#leave-area").click()
    page.wait_for_url(lambda address: "area" not in address)
    page.go_back()
    expect(page.locator("#leave-area")).to_be_visible()


@needs_browser
def test_the_page_draws_326238_papers(page: Page, mapped_home: Path, tmp_path: Path) -> None:
    shutil.copytree(mapped_home, tmp_path / "home")
    folder = tmp_path / "home" / "indexes" / "sampler"
    old, rng, n = read_map(folder), np.random.default_rng(0), 326_238
    ids = (*old.ids, *(f"2401.{number:06d}" for number in range(n - len(old))))
    PaperMap(
        old.snapshot,
        old.encoder,
        ids,
        rng.integers(0, SIDE, (n, 2)).astype(np.uint16),
        rng.integers(1992, 2026, n).astype(np.uint16),
        rng.integers(0, 9, n).astype(np.uint8),
        tuple(f"astro-ph.{letter}" for letter in "ABCDEFGHI"),
        (Region("everything", SIDE // 2, SIDE // 2, 0, n),),
    ).write(folder)
    with serving(tmp_path / "home", "--workers", "1") as server:
        page.goto(f"{server.address}/?q=dust&map=1")
        expect(page.locator("#map-said")).to_contain_text("326,238 papers")
        page.locator("#map-in").click()
        page.locator("#map canvas").last.press("ArrowLeft")
        end = time.monotonic() + 100
        # Thousands of points, not an empty picture.
        while len(page.locator("#map canvas").first.screenshot()) <= 20_000:
            assert time.monotonic() < end
            page.wait_for_timeout(200)
