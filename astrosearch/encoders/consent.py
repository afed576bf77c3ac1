"""What leaves this machine because an index says so: agreed to once for each index and service.

An index names its encoder, and may come from anybody. If that encoder runs at a service, questions
would be sent there; if it has to be fetched from the Hugging Face hub, the hub would be contacted.
So the user is asked first, and the answer is kept beside the user's settings, not in the index:

    {"/home/ada/indexes/astro": ["text-embedding-3-small at api.openai.com"]}

in `consent.json` in the platform's configuration folder. To take an answer back, remove its line.
"""

import json
from pathlib import Path

from astrosearch import atomic
from astrosearch.paths import consent_file
from astrosearch.report import Reporter


class IndexConsent(Reporter):
    """The reporter of an encoder that an index names."""

    def __init__(self, reporter: Reporter, index: Path) -> None:
        """
        Args:
            index: the folder of the index.
        """
        self._reporter = reporter
        self._index = index

    def notify(self, line: str) -> None:
        self._reporter.notify(line)

    def progress(self, task: str, done: int, total: int, detail: str = "") -> None:
        self._reporter.progress(task, done, total, detail)

    def confirm(self, cost: object) -> bool:
        """Who lets a service have the papers of an index lets it have the questions to them too."""
        from astrosearch.encoders.openai_costs import CostEstimate

        agrees = self._reporter.confirm(cost)
        if agrees and isinstance(cost, CostEstimate):
            self._remember(cost.service)
        return agrees

    def may_contact(self, service: str, request: str) -> bool:
        if service in agreed(self._index):
            return True
        name = self._index.name
        agrees = self._reporter.confirm(f"{request}, because index {name} names it as its encoder")
        if agrees:
            self._remember(service)
        return agrees

    def _remember(self, service: str) -> None:
        """An answer that cannot be kept will be asked for again."""
        answers = _read()
        services = answers.setdefault(_key(self._index), [])
        if service not in services:
            services.append(service)
            try:
                _write(answers)
            except OSError as error:
                self.notify(f"Your answer cannot be kept in {consent_file()}: {error.strerror}")


def agreed(index: Path) -> list[str]:
    """The services that an index may use."""
    return _read().get(_key(index), [])


def forget(index: Path) -> None:
    """Drop what was agreed to for an index, before another one may take its name.

    Raises:
        OSError: if the file of answers cannot be written.
    """
    answers = _read()
    if answers.pop(_key(index), None) is not None:
        _write(answers)


def _key(index: Path) -> str:
    return str(index.resolve())


def _read() -> dict[str, list[str]]:
    """The answers given so far; of a file that cannot be read, none."""
    try:
        record = json.loads(consent_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {
        index: [service for service in services if isinstance(service, str)]
        for index, services in record.items()
        if isinstance(services, list)
    }


def _write(answers: dict[str, list[str]]) -> None:
    file = consent_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.whole_file(file) as stream:
        stream.write(json.dumps(answers, indent=1).encode() + b"\n")
