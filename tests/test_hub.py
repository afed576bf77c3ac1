"""Models of the Hugging Face hub, against a server on loopback that speaks its protocol."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tiny_llama: Path) -> Iterator[str]:
    """A hub with the model `us/tiny`, a gated `us/gated`, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
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
    """`astrosearch models fetch NAME` in a process of its own, which alone reads the endpoint."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "astrosearch", "models", "fetch", name],
        env=environment | {"HF_HUB_OFFLINE": variables.get("HF_HUB_OFFLINE", "0")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


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


def test_without_network_the_command_to_run_elsewhere_is_named(tmp_path: Path) -> None:
    code, _, said = fetch("us/tiny", "http://127.0.0.1:9", tmp_path)
    assert code == 3
    assert said.splitlines()[-1].endswith("where there is network, run: hf download us/tiny")
    code, _, said = fetch("us/tiny", "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
    assert code == 3
    assert "HF_HUB_OFFLINE is set" in said
