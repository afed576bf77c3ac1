"""Models of the Hugging Face hub, against a server on loopback that speaks its protocol."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

ASKED: list[str] = []
"""Paths that the hub was asked for."""


@pytest.fixture
def hub(tiny_llama: Path) -> Iterator[str]:
    """A hub with the model `us/tiny`, a gated `us/gated`, and nothing else."""

    ASKED.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ASKED.append(self.path)
            path = self.path.split("?")[0]
            if "us/gated" in path:
                self._refuse(403, "GatedRepo")
            elif path.startswith("/api/models/us/tiny/tree/"):
                files = [
                    {
                        "type": "file",
                        "path": file.name,
                        "size": file.stat().st_size,
                        "oid": "0" * 40,
                    }
                    for file in tiny_llama.iterdir()
                ]
                self._send(json.dumps(files).encode())
            elif path.startswith("/api/models/us/tiny"):
                names = [{"rfilename": file.name} for file in tiny_llama.iterdir()]
                record = {"id": "us/tiny", "sha": COMMIT, "siblings": names}
                self._send(json.dumps(record).encode())
            elif path.startswith("/us/tiny/resolve/"):
                self._send((tiny_llama / path.rsplit("/", 1)[1]).read_bytes())
            else:
                self._refuse(404, "RepoNotFound")

        do_HEAD = do_GET  # noqa: N815

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(name: str, endpoint: str, home: Path, **variables: str) -> tuple[int, str, str]:
    return in_process(("models", "fetch", name), endpoint, home, **variables)


def in_process(
    arguments: Sequence[str], endpoint: str, home: Path, **variables: str
) -> tuple[int, str, str]:
    """A command in a process of its own, which alone reads the endpoint."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "astrosearch", *arguments],
        stdin=subprocess.DEVNULL,
        env=environment | {"HF_HUB_OFFLINE": variables.get("HF_HUB_OFFLINE", "0")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "commands"),
    [
        (
            {"model": "us/nowhere", "layers": 0},
            [
                ("query", "gas"),
                ("shell",),
                ("similar", "1504.00003"),
                ("compare", "--text", "gas", "--text", "wind"),
                ("index", "main"),
                ("eval", "main", "--task", "title"),
            ],
        ),
        ({"model": "minilm", "adapter": "us/nowhere"}, [("query", "gas")]),
        ({"model": "astrollama"}, [("query", "gas")]),
    ],
)
def test_a_hub_name_in_a_manifest_contacts_nobody_before_consent(
    hub: str,
    frozen: Path,
    tmp_path: Path,
    encoder: dict[str, object],
    commands: list[tuple[str, ...]],
) -> None:
    record = json.loads((frozen / "manifest.json").read_bytes())
    del record["manifest_sha256"]
    (frozen / "manifest.json").write_text(json.dumps(record | {"encoder": encoder}))
    for command in commands:
        code, _, said = in_process(command, hub, tmp_path)
        assert "not sent without consent: a request for the model" in said, (command, said)
        assert "because index main names it as its encoder; to agree, add --yes" in said
        # `index` goes on with the vectors that are there, as far as its source, which is gone.
        assert code == {"similar": 0, "index": 2}.get(command[0], 3), (command, said)
    assert not ASKED
    for arguments in (("--yes",), ()):
        code, _, said = in_process(("query", "gas", *arguments), hub, tmp_path)
        assert "the hub has no model" in said
        assert code == 3
        assert ASKED
        ASKED.clear()


def test_a_model_is_fetched_once_and_found_without_network_afterwards(
    hub: str, tmp_path: Path
) -> None:
    code, out, said = fetch("us/tiny", hub, tmp_path)
    assert (code, "Fetching us/tiny" in said) == (0, True), said
    assert f"us/tiny (revision {COMMIT[:16]}) is in " in out
    for variables in ({"HF_HUB_OFFLINE": "1"}, {}):
        code, out, said = fetch("us/tiny", "http://127.0.0.1:9", tmp_path, **variables)
        assert (code, said) == (0, "")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("us/gated", "us/gated is gated: accept its licence at https://huggingface.co/us/gated"),
        ("us/nowhere", "the hub has no model us/nowhere, or it is private"),
    ],
)
def test_what_the_hub_refuses_is_a_line_with_the_next_step(
    hub: str, tmp_path: Path, name: str, line: str
) -> None:
    code, out, said = fetch(name, hub, tmp_path)
    assert (code, out) == (3, "")
    assert line in said.splitlines()[-1]
    assert "hf auth login" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_ENDPOINT", "http://[::1"),
        ("HF_ENDPOINT", "nonsense"),
        ("HF_TOKEN", "é"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"),
        ("HTTP_PROXY", "foo://x"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
    ],
)
@pytest.mark.slow
def test_settings_that_cannot_be_used_are_a_line(
    hub: str, tmp_path: Path, name: str, value: str
) -> None:
    code, _, said = fetch("us/tiny", hub, tmp_path, **{name: value})
    assert code == 3
    assert len(said.splitlines()) <= 2


def test_without_network_the_command_to_run_elsewhere_is_named(tmp_path: Path) -> None:
    code, _, said = fetch("us/tiny", "http://127.0.0.1:9", tmp_path)
    assert code == 3
    assert said.splitlines()[-1].endswith("where there is network, run: hf download us/tiny")
    code, _, said = fetch("us/tiny", "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
    assert code == 3
    assert "HF_HUB_OFFLINE is set" in said
