"""The page of `astrosearch serve` in a real browser: Debian's Chromium, or any other."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect, sync_playwright

from tests.conftest import Run, kaggle_line
from tests.servers import RunningServer, lasting_port, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no browser: apt-get install chromium"
)
pytestmark = needs_browser

TRANSITIONS_END = "Promise.allSettled(document.getAnimations().map(one => one.finished))"

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def server(sampler_home: Path) -> Iterator[RunningServer]:
    with serving(sampler_home, "--workers", "2") as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(100_000)
    expect.set_options(timeout=100_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, server: RunningServer) -> Iterator[Page]:
    """An open page. At the end: nothing went wrong in it, and it asked nobody else."""
    opened = context.new_page()
    errors: list[str] = []
    addresses: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda request: addresses.append(request.url))
    opened.goto(server.address)
    expect(opened.locator(".hit")).to_have_count(20)
    yield opened
    assert not errors
    elsewhere = [address for address in addresses if not address.startswith(server.address)]
    assert not [address for address in elsewhere if not address.startswith("data:")]


def _ids(page: Page) -> list[str]:
    return [
        str(item.get_attribute("id")).removeprefix("paper-") for item in page.locator(".hit").all()
    ]


def _expect_ids(page: Page, ids: list[str]) -> None:
    """The papers that come to be shown."""
    expect(page.locator(".hit")).to_have_count(len(ids))
    for place, paper_id in enumerate(ids):
        expect(page.locator(".hit").nth(place)).to_have_id(f"paper-{paper_id}")


def _answer(server: RunningServer, **parameters: Any) -> list[str]:
    answer = server.get("/api/query", k=20, **parameters).json
    return [hit["id"] for hit in answer["hits"]]


def _wait_for_answer(page: Page) -> None:
    # Not by wait_for_function: the page's own policy forbids what that evaluates.
    expect(page.locator("#hits")).not_to_contain_class("stale")


def _ask(page: Page, query: str) -> None:
    page.locator("#q").fill(query)
    expect(page).to_have_title(f"{query} – astrosearch")


def test_an_answer_comes_while_one_types(page: Page, server: RunningServer) -> None:
    page.locator("#q").press_sequentially("magellanic stream", delay=20)
    expect(page).to_have_title("magellanic stream – astrosearch")
    _expect_ids(page, _answer(server, q="magellanic stream"))
    expect(page.locator(".hit mark").first).to_have_text(re.compile("magellanic", re.IGNORECASE))
    assert page.url.endswith("?q=magellanic+stream")


def test_an_older_answer_never_takes_the_place_of_a_newer_one(
    page: Page, server: RunningServer
) -> None:
    held: list[Route] = []
    asked = re.compile(r"/api/query\?.*\bq=dust$")
    page.route(asked, lambda route: held.append(route))
    with page.expect_request(asked):
        page.locator("#q").fill("dust")
    _ask(page, "magellanic stream")
    for route in held:
        with suppress(Error):  # the page has given it up
            route.continue_()
    page.wait_for_timeout(500)
    _expect_ids(page, _answer(server, q="magellanic stream"))


def test_without_a_question_the_newest_papers_are_shown(page: Page, server: RunningServer) -> None:
    _expect_ids(page, _answer(server, since="1900"))
    expect(page.locator("#status")).to_contain_text("newest first")


def test_more_papers_follow(page: Page, server: RunningServer) -> None:
    _ask(page, "galaxies")
    page.locator("#more").click()
    expect(page.locator(".hit")).to_have_count(40)
    whole = server.get("/api/query", q="galaxies", k=40).json["hits"]
    _expect_ids(page, [hit["id"] for hit in whole])


def test_years_are_brushed_on_the_histogram(page: Page, server: RunningServer) -> None:
    _ask(page, "galaxies")
    chart = page.locator("#years")
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 20, steps=5)
    page.mouse.up()
    expect(page.locator("#since")).not_to_have_value("")
    since, until = (page.locator(name).input_value() for name in ("#since", "#until"))
    assert 1994 < int(since) < int(until) < 2026
    page.wait_for_url(f"**since={since}&until={until}")
    _wait_for_answer(page)
    _expect_ids(page, _answer(server, q="galaxies", since=since, until=until))
    page.mouse.dblclick(box["x"] + box["width"] * 0.6, box["y"] + 40)
    expect(page).to_have_url(re.compile(r"\?q=galaxies$"))
    expect(page.locator("#since")).to_have_value("")


def test_filters_are_in_the_address_which_can_be_shared(
    page: Page, context: BrowserContext, server: RunningServer
) -> None:
    _ask(page, "galaxies")
    page.locator("#categories button", has_text="astro-ph.CO").click()
    expect(page.locator("#categories [aria-pressed=true]")).to_contain_text("astro-ph.CO")
    page.locator("#sort").select_option("date")
    page.locator("#author").fill("Moore")
    page.locator("#author").press("Enter")
    page.wait_for_url("**author=Moore**")
    page.locator("#author").fill("")
    page.locator("#author").press("Enter")
    page.wait_for_url(lambda address: "author" not in address)
    expected = _answer(server, q="galaxies", category="astro-ph.CO", sort="date")
    shared = context.new_page()
    shared.goto(page.url)
    expect(shared.locator(".hit")).to_have_count(len(expected))
    assert _ids(shared) == expected
    expect(shared.locator("#q")).to_have_value("galaxies")
    expect(shared.locator("#sort")).to_have_value("date")


def test_back_and_forward_go_through_what_was_asked(page: Page, server: RunningServer) -> None:
    _ask(page, "magellanic stream")
    page.locator("#q").press("Enter")
    page.locator(".hit [data-act=similar]").nth(1).click()
    expect(page.locator("#like")).to_be_visible()
    page.go_back()
    expect(page.locator("#like")).to_be_hidden()
    expect(page.locator("#q")).to_have_value("magellanic stream")
    expect(page).to_have_title("magellanic stream – astrosearch")
    _wait_for_answer(page)
    _expect_ids(page, _answer(server, q="magellanic stream"))
    page.go_forward()
    expect(page.locator("#like")).to_be_visible()


def test_all_of_it_goes_by_keys(page: Page, context: BrowserContext, server: RunningServer) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.route("https://arxiv.org/**", lambda route: route.fulfill(body="arXiv"))
    _ask(page, "magellanic stream")
    ids = _ids(page)
    keys = page.keyboard
    keys.press("Escape")
    expect(page.locator("#q")).to_have_value("magellanic stream")
    for _ in range(3):
        keys.press("j")
    keys.press("k")
    expect(page.locator("[aria-current=true]")).to_have_attribute("id", f"paper-{ids[1]}")
    keys.press("Enter")
    expect(page.locator(".abstract mark").first).to_be_visible()
    assert f"open={ids[1].replace('/', '%2F')}" in page.url
    keys.press("Enter")
    expect(page.locator(".abstract")).to_have_count(0)
    keys.press("w")
    expect(page.locator(".why")).to_contain_text("cosine")
    keys.press("b")
    expect(page.locator("#status")).to_contain_text("clipboard")
    entry = page.evaluate("navigator.clipboard.readText()")
    assert entry == server.get(f"/api/papers/{ids[1]}", format="bibtex").body.decode()
    keys.press("c")
    keys.press("j")
    keys.press("c")
    expect(page.locator("#comparison h2")).to_contain_text(ids[2])
    expect(page.locator("#comparison")).to_contain_text("of random pairs")
    with context.expect_page() as opened:
        keys.press("o")
    opened.value.wait_for_url(f"https://arxiv.org/abs/{ids[2]}")
    opened.value.close()
    keys.press("?")
    expect(page.locator("#help")).to_be_visible()
    keys.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    keys.press("s")
    expect(page.locator("#like")).to_contain_text("Papers like")
    keys.press("/")
    expect(page.locator("#q")).to_be_focused()


def test_similar_papers_are_those_of_the_server(page: Page, server: RunningServer) -> None:
    _ask(page, "magellanic stream")
    paper_id = _ids(page)[0]
    page.locator(".hit [data-act=similar]").first.click()
    expect(page.locator("#like")).to_contain_text("“")
    answer = server.get("/api/similar", id=paper_id, k=20).json
    _expect_ids(page, [hit["id"] for hit in answer["hits"]])


def test_what_a_paper_should_cite_is_that_of_the_server_and_stands_in_the_address(
    page: Page, server: RunningServer
) -> None:
    _ask(page, "magellanic stream")
    paper_id = _ids(page)[0]
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator("#like")).to_contain_text("should cite")
    answer = server.get("/api/cite", id=paper_id, k=20).json
    _expect_ids(page, [hit["id"] for hit in answer["hits"]])
    page.reload()
    _expect_ids(page, [hit["id"] for hit in answer["hits"]])
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#like")).to_be_hidden()
    assert "cite=" not in page.url


def test_names_that_are_written_from_right_to_left_stay_before_the_year(
    page: Page, server: RunningServer
) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        record = response.json()
        for hit in record["hits"]:
            hit["authors"] = ["محمد علي"]
        route.fulfill(response=response, json=record)

    page.route("**/api/query?*", answer)
    _ask(page, "magellanic stream")
    facts = page.locator(".hit .facts").first
    expect(facts).to_contain_text("محمد علي · 1994")
    assert facts.evaluate(
        """(facts) => {
            const year = document.createRange();
            year.setStart(facts.lastChild, 3);
            year.setEnd(facts.lastChild, 7);
            const names = facts.querySelector("bdi").getBoundingClientRect();
            return names.right < year.getBoundingClientRect().left;
        }"""
    )


def test_an_error_and_a_note_are_shown(context: BrowserContext, server: RunningServer) -> None:
    page = context.new_page()
    page.goto(f"{server.address}/?q=year:soon")
    expect(page.locator("#status")).to_contain_text("year:soon is not a year")
    expect(page.locator(".hit")).to_have_count(0)
    page.goto(f"{server.address}/?q=%22magellanic+toaster%22")
    expect(page.locator("#status")).to_have_text(re.compile("No paper"))
    expect(page.locator("#notes")).to_contain_text("toaster")


def test_what_was_probably_meant_is_a_link_that_asks_it(page: Page) -> None:
    def mistaken(route: Route) -> None:
        response = route.fetch()
        note = "none has a word of 'magelanic'. Did you mean 'magellanic stream'?"
        meant = "magellanic stream year:2015-"
        route.fulfill(response=response, json={**response.json(), "notes": [note], "meant": meant})

    page.route(re.compile(r"/api/query\?.*magelanic"), mistaken)
    page.locator("#author").fill("moore")
    page.locator("#author").press("Enter")
    _ask(page, "magelanic stream")
    expect(page.locator("#notes li")).to_have_text(re.compile("Did you mean magellanic stream ye"))
    page.locator("#notes a").click()
    expect(page.locator("#q")).to_have_value("magellanic stream year:2015-")
    expect(page).to_have_url(re.compile(r"\?q=magellanic\+stream\+year%3A2015-&author=moore$"))
    expect(page.locator("#notes a")).to_have_count(0)
    page.go_back()
    expect(page.locator("#q")).to_have_value("magelanic stream")
    expect(page.locator("#notes a")).to_have_count(1)
    page.unroute_all(behavior="wait")


def test_what_is_refused_leaves_nothing_of_the_last_answer(
    context: BrowserContext, server: RunningServer
) -> None:
    page = context.new_page()
    page.goto(f"{server.address}/?q=dust")
    expect(page.locator("#years .of-answer").first).to_be_attached()
    page.locator("#since").fill("soon")
    page.locator("#since").press("Enter")
    expect(page.locator("#status")).to_contain_text("since cannot be 'soon'")
    expect(page.locator("#years .of-answer")).to_have_count(0)


def test_on_a_phone_there_is_room_to_type_and_help_begins_at_its_beginning(
    context: BrowserContext, server: RunningServer
) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    names = ["sampler", "astro"]
    several = {
        "default": "sampler",
        "library": False,
        "indexes": [{"name": name, "papers": 56_307} for name in names],
    }
    page.route("**/api/indexes?", lambda route: route.fulfill(json=several))
    page.goto(server.address)
    expect(page.locator("#index")).to_be_visible()
    box = page.locator("#q").bounding_box()
    assert box
    assert box["width"] > 250
    page.locator("#help-button").click()
    expect(page.locator("#help-title")).to_be_in_viewport()


def test_a_server_that_is_gone_is_said_to_be_and_asked_again(
    context: BrowserContext, sampler_home: Path
) -> None:
    page = context.new_page()
    port = str(lasting_port())
    with serving(sampler_home, "--workers", "1", "--port", port) as server:
        page.goto(server.address)
        expect(page.locator(".hit")).to_have_count(20)
    page.locator("#q").fill("magellanic stream")
    expect(page.locator("#status")).to_contain_text("does not answer")
    expect(page.locator(".hit")).to_have_count(20)
    with serving(sampler_home, "--workers", "1", "--port", port):
        expect(page).to_have_title("magellanic stream – astrosearch")
        expect(page.locator("#status")).not_to_contain_text("does not answer")


def test_the_token_is_asked_for_or_taken_from_the_address(
    browser: Browser, sampler_home: Path
) -> None:
    with serving(sampler_home, "--workers", "1", ASTROSEARCH_TOKEN="mine") as server:
        for address in (server.address, f"{server.address}/#token=mine"):
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            if "#" not in address:
                page.locator("#token").fill("mine")
                page.locator("#token").press("Enter")
            expect(page.locator(".hit")).to_have_count(20)
            assert "mine" not in page.url
            context.close()


def test_titles_are_text_and_never_elements(
    context: BrowserContext, run: Run, tmp_path: Path, tiny_llama: Path, home: Path
) -> None:
    title = r"Bold $<$img src=x onerror=document.title='owned'$>$ \textless b\textgreater\ x"
    corpus = tmp_path / "hostile.json"
    lines = [kaggle_line(n, title=title, abstract=f"{title} $<$script$>${n}") for n in range(5)]
    corpus.write_text("\n".join(lines))
    run("index", "--corpus", corpus, "--encoder", tiny_llama)
    page = context.new_page()
    with serving(home, "--workers", "1") as server:
        page.goto(f"{server.address}/?q=bold&open={json.loads(lines[0])['id']}")
        expect(page.locator(".abstract")).to_contain_text("<script>0")
        expect(page.locator(".hit h2").first).to_contain_text("<img src=x")
        assert page.locator(".hit img, .hit b, .hit script").count() == 0
        assert page.title() == "bold – astrosearch"


def test_an_index_without_a_map_is_said_how_to_get_one(
    context: BrowserContext, server: RunningServer
) -> None:
    page = context.new_page()
    page.goto(server.address)
    expect(page.locator(".hit")).to_have_count(20)
    page.locator("#map-button").click()
    expect(page.locator("#map-said")).to_contain_text("astrosearch map sampler")
    expect(page.locator("#map")).to_be_hidden()


def test_long_words_stay_within_a_narrow_page(
    context: BrowserContext, run: Run, tmp_path: Path, tiny_llama: Path, home: Path
) -> None:
    long = "Magellanic" * 60
    corpus = tmp_path / "long.json"
    lines = [kaggle_line(n, title=f"{long} {n}", abstract=long, authors=long) for n in range(3)]
    corpus.write_text("\n".join(lines))
    run("index", "--corpus", corpus, "--encoder", tiny_llama)
    first, second, third = (json.loads(line)["id"] for line in lines)
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    with serving(home, "--workers", "1") as server:
        page.goto(f"{server.address}/?open={third}&compare={first}&compare={second}")
        expect(page.locator("#comparison")).to_contain_text("Cosine")
        expect(page.locator(".abstract")).to_be_visible()
        assert page.evaluate(
            """[...document.querySelectorAll('main *')].every((one) =>
                Math.max(one.getBoundingClientRect().right, one.scrollWidth) <= innerWidth
            )"""
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_can_be_read_by_everybody(
    browser: Browser, server: RunningServer, width: int, scheme: Any
) -> None:
    """axe-core finds nothing, in any state; nothing is wider than a phone."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    axe = Axe()

    def check() -> None:
        _wait_for_answer(page)
        page.evaluate(TRANSITIONS_END)
        found = axe.run(page).response["violations"]
        assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.goto(f"{server.address}/?q=where+does+the+magellanic+stream+come+from&ask=1")
    expect(page.locator("#answer li").first).to_be_visible()
    check()
    page.goto(f"{server.address}/?new=all")
    expect(page.locator("#new-tools")).to_be_visible()
    check()
    page.goto(f"{server.address}/?q=magellanic+stream&since=2000")
    expect(page.locator(".hit").first).to_be_visible()
    first, second = _ids(page)[:2]
    page.goto(f"{page.url}&open={first}&compare={first}&compare={second}")
    expect(page.locator(".abstract")).to_be_visible()
    expect(page.locator("#comparison blockquote").first).to_be_visible()
    page.locator("[data-act=why]").first.click()
    page.evaluate("document.getElementById('filters').open = true")
    check()
    page.locator("#help-button").click()
    check()
    page.goto(f"{server.address}/?q=year:soon")
    expect(page.locator("#status")).to_contain_text("not a year")
    found = axe.run(page).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
    context.close()


@pytest.fixture
def own_server(own_home: Path) -> Iterator[RunningServer]:
    with serving(own_home, "--workers", "1") as running:
        yield running


def test_papers_are_liked_tagged_and_kept_by_keys(
    context: BrowserContext, own_server: RunningServer
) -> None:
    page = context.new_page()
    page.goto(f"{own_server.address}/?q=magellanic+stream")
    expect(page.locator("[data-act=liked]").first).to_be_visible()
    first, second, third = _ids(page)[:3]
    keys = page.keyboard
    keys.press("Escape")
    keys.press("j")
    keys.press("l")
    expect(page.locator(f"[id='paper-{first}'] .own-place")).to_have_text("In your library · liked")
    keys.press("t")
    page.locator("#typed-text").fill("hi, streams")
    keys.press("Enter")
    expect(page.locator("#status")).to_contain_text("hi, streams")
    keys.press("j")
    keys.press("i")
    expect(page.locator(f"[id='paper-{second}']")).to_contain_class("own")
    keys.press("j")
    keys.press("d")
    expect(page.locator("#status")).to_have_text(f"{third} is disliked.")
    own = {paper["id"]: paper for paper in own_server.get("/api/library").json["papers"]}
    assert set(own) == {first, second, third}
    assert (own[first]["opinion"], own[first]["tags"]) == ("liked", ["hi", "streams"])
    page.locator("#scope").select_option("within:tag:hi")
    expect(page.locator(".hit")).to_have_count(1)
    assert "within=tag%3Ahi" in page.url
    page.reload()
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator("#scope")).to_have_value("within:tag:hi")
    keys.press("Escape")
    keys.press("j")
    keys.press("l")
    expect(page.locator("#status")).to_contain_text("neither liked nor disliked")
    page.go_back()
    expect(page.locator(".hit.own")).to_have_count(3)


def test_a_search_is_saved_and_asked_again(
    context: BrowserContext, own_server: RunningServer
) -> None:
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{own_server.address}/?q=galaxies&since=2015&sort=date")
    expect(page.locator("#save")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(20)
    asked = _ids(page)
    page.keyboard.press("Escape")
    page.keyboard.press("S")
    page.locator("#typed-text").fill("gal")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Saved as gal")
    [saved] = own_server.get("/api/searches").json["searches"]
    assert saved["parameters"] == {"q": "galaxies", "since": "2015-01-01", "sort": "date"}
    _ask(page, "dust")
    page.locator("#searches a").click()
    expect(page).to_have_title("galaxies – astrosearch")
    _wait_for_answer(page)
    _expect_ids(page, asked)
    page.locator("#searches button").click()
    expect(page.locator("#searches li")).to_have_count(0)
    assert own_server.get("/api/searches").json["searches"] == []


def test_new_papers_are_shown_until_they_are_seen(
    context: BrowserContext, own_server: RunningServer
) -> None:
    own_server.request("PUT", "/api/library/2503.14368", {"opinion": "liked"})
    page = context.new_page()
    page.goto(own_server.address)
    expect(page.locator("#new-button")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#new-tools")).to_contain_text("that fit your library")
    assert page.url.endswith("?new=1")
    expected = [hit["id"] for hit in own_server.get("/api/new", k=100).json["hits"]]
    _expect_ids(page, expected)
    expect(page.locator(".reasons").first).to_contain_text("in your library")
    page.get_by_role("button", name="Mark all as seen").click()
    expect(page.locator(".hit")).to_have_count(0)
    page.get_by_role("button", name="Those seen before").click()
    expect(page.locator(".hit")).to_have_count(len(expected))
    page.locator("#q").fill("dust")
    expect(page.locator("#new-tools")).to_be_hidden()


def test_a_question_is_answered_in_sentences_with_their_papers(
    page: Page, server: RunningServer
) -> None:
    question = "where does the Magellanic Stream come from?"
    _ask(page, question)
    page.locator("#ask-button").click()
    quotes = page.locator("#answer ul li")
    expect(quotes.first).to_be_visible()
    answer = server.get("/api/ask", q=question).json
    expect(quotes).to_have_count(sum(len(group["quotes"]) for group in answer["groups"]))
    expect(page.locator("#answer .sources li")).to_have_count(len(answer["sources"]))
    assert "ask=1" in page.url
    source = answer["sources"][0]["id"]
    page.locator("#answer .sources button").first.click()
    expect(page.locator(f"[id='paper-{source}'] .abstract")).to_be_visible()
    _ask(page, "how do I bake bread?")
    expect(page.locator("#answer .sources li")).to_have_count(0)
    expect(page.locator("#answer p").first).not_to_be_empty()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#answer")).to_be_hidden()


def test_what_is_open_and_how_many_are_shown_is_in_the_address(
    page: Page, context: BrowserContext
) -> None:
    _ask(page, "galaxies")
    page.locator("[data-act=why]").first.click()
    page.locator("#more").click()
    expect(page.locator(".hit")).to_have_count(40)
    shared = context.new_page()
    shared.goto(page.url)
    expect(shared.locator(".hit")).to_have_count(40)
    expect(shared.locator(".why")).to_have_count(1)
    page.go_back()
    expect(page.locator(".why")).to_have_count(0)


def test_a_library_that_a_server_keeps_to_itself_is_not_offered(
    context: BrowserContext, sampler_home: Path
) -> None:
    with serving(sampler_home, "--workers", "1", "--no-library") as server:
        page = context.new_page()
        page.goto(server.address)
        expect(page.locator(".hit")).to_have_count(20)
        for name in ("[data-act=liked]", "#new-button:visible", "#scope:visible", "#save:visible"):
            expect(page.locator(name)).to_have_count(0)
        page.keyboard.press("Escape")
        for key in "jlindS":
            page.keyboard.press(key)
        assert "new=" not in page.url


def test_what_cannot_be_changed_is_said_and_nothing_is_lost(
    context: BrowserContext, own_home: Path
) -> None:
    page = context.new_page()
    with serving(own_home, "--workers", "1") as server:
        page.goto(f"{server.address}/?q=dust")
        expect(page.locator("[data-act=liked]").first).to_be_visible()
    page.locator("[data-act=liked]").first.click()
    expect(page.locator("#status")).to_contain_text("nothing was changed")
    expect(page.locator(".hit")).not_to_have_count(0)
    expect(page.locator(".own-place").first).to_be_empty()
    page.locator("[data-act=bibtex]").first.click()
    expect(page.locator("#status")).to_contain_text("nothing was copied")
