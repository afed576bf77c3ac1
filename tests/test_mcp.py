"""The tools for assistants, used by the SDK's own client: at standard input and over HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters

from astrosearch.library.add import mark
from astrosearch.search.searcher import open_index
from astrosearch.server.mcp import telling_sentence
from tests.servers import serving

Use = Callable[[Client], Coroutine[Any, Any, None]]


def _using(transport: str, home: Path) -> Callable[[Use], None]:
    """Runs what a client does, with a client at a transport."""

    async def with_client(server: Any, do: Use) -> None:
        async with Client(server) as client:
            await do(client)

    def run(do: Use) -> None:
        if transport == "http":
            with serving(home, "--workers", "1") as server:
                asyncio.run(with_client(f"{server.address}/mcp", do))
            return
        environment = {**os.environ, "ASTROSEARCH_HOME": str(home)}
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "astrosearch", "mcp"], env=environment
        )
        asyncio.run(with_client(command, do))

    return run


@pytest.fixture(params=["stdio", "http"])
def use(request: pytest.FixtureRequest, sampler_home: Path) -> Callable[[Use], None]:
    return _using(request.param, sampler_home)


@pytest.fixture(params=["stdio", "http"])
def use_own(request: pytest.FixtureRequest, own_home: Path) -> Callable[[Use], None]:
    return _using(request.param, own_home)


def test_an_assistant_searches_reads_and_compares(
    use: Callable[[Use], None], sampler_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    with open_index("sampler") as searcher:
        expected = [hit.paper.id for hit in searcher.query("magellanic stream", 3)]
        near = [hit.paper.id for hit in searcher.similar(expected[:1], 3)]
        abstract = searcher.paper(expected[0]).abstract
        proposed = [hit.paper.id for hit in searcher.cite(["2503.14368"], 2)]
        question = "where does the Magellanic Stream come from?"
        quotes = [
            {"id": quote.paper.id, "sentence": quote.text}
            for quote in searcher.ask(question).quotes
        ]
        assert quotes

    async def do(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {
            *("search", "similar", "cite", "citations", "ask", "paper", "compare"),
            *("library", "new", "indexes"),
        }
        assert all(tool.description for tool in tools)
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        found = (
            await client.call_tool("search", {"query": "magellanic stream", "k": 3})
        ).structured_content
        assert found
        assert [paper["id"] for paper in found["papers"]] == expected
        first = found["papers"][0]
        assert first["sentence"] in abstract
        assert set(first) == {"id", "title", "year", "authors", "match", "sentence"}
        like = (await client.call_tool("similar", {"ids": expected[:1], "k": 3})).structured_content
        assert like
        assert [paper["id"] for paper in like["papers"]] == near
        cited = (await client.call_tool("cite", {"ids": ["2503.14368"], "k": 2})).structured_content
        assert cited
        assert [paper["id"] for paper in cited["papers"]] == proposed
        said = (await client.call_tool("ask", {"question": question})).structured_content
        assert said
        assert said["quotes"] == quotes
        paper = (await client.call_tool("paper", {"id": expected[0]})).structured_content
        assert paper
        assert paper["abstract"] == abstract
        pair = (await client.call_tool("compare", {"ids": expected[:2]})).structured_content
        assert pair
        assert pair["verdict"]
        indexes = (await client.call_tool("indexes", {})).structured_content
        assert indexes
        assert [index["name"] for index in indexes["result"]] == ["sampler"]

    use(do)


def test_an_assistant_sees_the_library_and_new_papers(
    own_home: Path, use_own: Callable[[Use], None]
) -> None:
    with open_index("sampler") as searcher:
        mark(searcher, ["2503.14368"], lambda marks: replace(marks, tags=("hi",), note="far"))

    async def do(client: Client) -> None:
        own = (await client.call_tool("library", {"within": "tag:hi"})).structured_content
        assert own
        [paper] = own["papers"]
        assert (paper["id"], paper["note"], own["more"]) == ("2503.14368", "far", 0)
        found = await client.call_tool("search", {"query": "stream", "within": "library"})
        assert found.structured_content
        assert [one["id"] for one in found.structured_content["papers"]] == ["2503.14368"]
        new = (await client.call_tool("new", {"since": "2025", "k": 3})).structured_content
        assert new
        assert len(new["papers"]) == 3
        assert new["new"] > 3
        assert new["papers"][0]["why"]
        refused = await client.call_tool("library", {"within": "tag:none"})
        assert refused.is_error

    use_own(do)


def test_papers_are_resources(use: Callable[[Use], None]) -> None:
    async def do(client: Client) -> None:
        [contents] = (await client.read_resource("paper://astro-ph/9401008")).contents
        assert "The Origin of the Magellanic Stream" in contents.text  # type: ignore[union-attr]
        [contents] = (await client.read_resource("paper://1604.00439")).contents
        authors = json.loads(contents.text)["authors"]  # type: ignore[union-attr]
        assert authors[-1] == "and 722 more"
        with pytest.raises(MCPError, match=r"2309\.99999"):
            await client.read_resource("paper://2309.99999")

    use(do)


def test_an_error_is_one_of_the_tool(use: Callable[[Use], None]) -> None:
    async def do(client: Client) -> None:
        for tool, arguments, said in (
            ("search", {"query": "year:soon"}, "year:soon"),
            ("search", {"query": "x", "k": 1000}, "k: Input should be less"),
            ("search", {"query": "x", "limit": 3}, "limit is not an argument; write query, k"),
            ("search", {}, "query is missing"),
            ("search", {"query": "x", "index": "other"}, "sampler"),
            ("search", {"query": "x", "since": "soon"}, "since cannot be 'soon'; for example"),
            ("paper", {"id": "2309.99999"}, "2309.99999"),
            ("compare", {"ids": ["2503.14368"]}, "ids: List should have at least 2"),
            ("cite", {"ids": []}, "ids: List should have at least 1"),
            ("ask", {"question": " "}, "question is empty"),
            ("indexes", {"x": 1}, "x is not an argument; there are none"),
        ):
            result = await client.call_tool(tool, arguments)
            assert result.is_error, (tool, arguments)
            text = result.content[0].text  # type: ignore[union-attr]
            assert said in text
            assert "\n" not in text

    use(do)


def test_a_client_that_closes_the_pipe_leaves_no_traceback(sampler_home: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
    with subprocess.Popen(
        [sys.executable, "-m", "astrosearch", "mcp"],
        env={**os.environ, "ASTROSEARCH_HOME": str(sampler_home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write(json.dumps(hello).encode() + b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""


def test_a_sentence_that_does_not_end_is_cut() -> None:
    assert telling_sentence("gas " * 10_000, frozenset()) == "gas " * 150 + "…"
