"""What OpenAlex and ADS know of papers and of what these cite, asked for in many at a time.

OpenAlex takes 100 values in a filter and wants a key, which is free
(https://developers.openalex.org/api-reference/authentication). ADS wants a token, which is free,
and takes a search of 1,000 characters, or some thousand bibcodes in a big query, 100 times a day
(https://ui.adsabs.harvard.edu/help/api/).
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import httpx2

from astrosearch import __version__
from astrosearch.citations.keys import key_of
from astrosearch.citations.records import ads_names, openalex_names
from astrosearch.errors import AstrosearchError, SetupError
from astrosearch.report import SILENT, Reporter
from astrosearch.retry_after import retry_after

ATTEMPTS = 6
"""At one request, before it is given up."""

FIRST_BACKOFF = 2.0
"""Seconds between the first two attempts, if the service asks for no other; then doubled."""

LONGEST_WAIT = 600.0
"""Seconds; a service that asks for more is left alone until the command is run again."""

RERUN = "what has come is kept: run the same command again to go on"


class Asked(NamedTuple):
    """A paper that is asked for: its key, and its DOI if that is another."""

    key: str
    doi: str = ""


@dataclass(frozen=True)
class Known:
    """A work as a service knows it."""

    names: tuple[str, ...]
    """Empty if the service does not know it."""
    references: tuple[str, ...] = ()


class Service(Protocol):
    """A service that knows what cites what."""

    name: str

    def papers(self, asked: Sequence[Asked]) -> Iterator[dict[str, Known]]:
        """What papers cite, by their keys, a request at a time; of all that were asked for."""
        ...

    def works(self, names: Sequence[str]) -> Iterator[dict[str, Known]]:
        """What the service's own names stand for, a request at a time."""
        ...


class OpenAlex:
    """https://developers.openalex.org/api-reference/works"""

    name = "OpenAlex"

    def __init__(self, client: "PoliteClient") -> None:
        self._client = client
        self._url = os.environ.get("OPENALEX_API_URL") or "https://api.openalex.org"
        key = os.environ.get("OPENALEX_API_KEY", "").strip()
        self._key = {"api_key": key} if key else {}

    AT_ONCE = 100
    """Values of a filter, and works of an answer."""

    def papers(self, asked: Sequence[Asked]) -> Iterator[dict[str, Known]]:
        for start in range(0, len(asked), self.AT_ONCE // 2):
            batch = asked[start : start + self.AT_ONCE // 2]
            wanted: dict[str, str] = {}
            for paper in batch:
                for doi in (paper.doi, paper.key, f"10.48550/arxiv.{paper.key}"):
                    # A comma or a bar would end the value of a filter.
                    if doi.startswith("10.") and not set(doi) & set(",|"):
                        wanted[doi] = paper.key
            found = {paper.key: Known(()) for paper in batch}
            for record in self._records("doi", list(wanted), "referenced_works"):
                names = tuple(openalex_names(record))
                keys = [key_of(name) for name in names]
                keys += [wanted.get(_doi(name)) for name in names]
                for key in {key for key in keys if key in found}:
                    references = (*found[key].references, *(record.get("referenced_works") or ()))
                    found[key] = Known((key, *names), tuple(dict.fromkeys(references)))
            yield found

    def works(self, names: Sequence[str]) -> Iterator[dict[str, Known]]:
        numbers = [name for name in names if (key_of(name) or "").startswith("openalex:")]
        for start in range(0, len(numbers), self.AT_ONCE):
            batch = numbers[start : start + self.AT_ONCE]
            found = {name: Known(()) for name in batch}
            values = [name.rpartition("/")[2] for name in batch]
            for record in self._records("openalex", values):
                if record["id"] in found:
                    found[record["id"]] = Known(tuple(openalex_names(record)))
            yield found

    def _records(self, field: str, values: Sequence[str], *more: str) -> list[dict[str, Any]]:
        if not values:
            return []
        parameters = {
            "filter": f"{field}:{'|'.join(values)}",
            "select": ",".join(("id", "doi", "ids", "locations", *more)),
            "per_page": str(self.AT_ONCE),
            **self._key,
        }
        answer = self._client.json(
            "GET",
            f"{self._url}/works",
            parameters,
            refused="set OPENALEX_API_KEY to a key of https://openalex.org/settings/api",
        )
        return _list(answer, "results", self.name)


def _doi(name: str) -> str:
    return name.lower().removeprefix("https://doi.org/")


class Ads:
    """https://ui.adsabs.harvard.edu/help/api/"""

    name = "ADS"

    def __init__(self, client: "PoliteClient") -> None:
        """
        Raises:
            SetupError: if there is no token.
        """
        token = os.environ.get("ADS_API_TOKEN") or os.environ.get("ADS_DEV_KEY") or ""
        if not token.strip():
            raise SetupError(
                "ADS wants a token: make one at https://ui.adsabs.harvard.edu/user/settings/token "
                "and set ADS_API_TOKEN to it"
            )
        self._client = client
        self._url = os.environ.get("ADS_API_URL") or "https://api.adsabs.harvard.edu/v1"
        self._headers = {"Authorization": f"Bearer {token.strip()}"}

    LONGEST_SEARCH, PAPERS, BIBCODES = 1_000, 25, 2_000
    """Characters; papers of a search; bibcodes of a big query."""

    def papers(self, asked: Sequence[Asked]) -> Iterator[dict[str, Known]]:
        for start in range(0, len(asked), self.PAPERS):
            batch = asked[start : start + self.PAPERS]
            found = {paper.key: Known(()) for paper in batch}
            by_name = {paper.key: paper.key for paper in batch}
            by_name |= {paper.doi.lower(): paper.key for paper in batch if paper.doi}
            for query in self._searches(batch):
                parameters = {
                    "q": query,
                    "fl": "bibcode,identifier,doi,reference",
                    "rows": "200",
                }
                for record in self._records("GET", "query", parameters):
                    names = tuple(ads_names(record))
                    keys = {by_name.get(key_of(name) or "") for name in names}
                    for key in keys & found.keys():
                        if key is not None:
                            references = tuple(record.get("reference") or ())
                            found[key] = Known((key, *names), references)
            yield found

    def _searches(self, batch: Sequence[Asked]) -> Iterator[str]:
        terms: list[str] = []
        for paper in batch:
            text = paper.key if paper.key.startswith("10.") else f"arXiv:{paper.key}"
            term = '"' + text.replace("\\", "").replace('"', "") + '"'
            if terms and len(" OR ".join([*terms, term])) > self.LONGEST_SEARCH - 20:
                yield f"identifier:({' OR '.join(terms)})"
                terms = []
            terms.append(term)
        if terms:
            yield f"identifier:({' OR '.join(terms)})"

    def works(self, names: Sequence[str]) -> Iterator[dict[str, Known]]:
        # What a preprint's bibcode stands for is told by itself.
        bibcodes = [name for name in names if key_of(name) == name and not name.startswith("10.")]
        bibcodes = [name for name in bibcodes if len(name) == 19]
        for start in range(0, len(bibcodes), self.BIBCODES):
            batch = bibcodes[start : start + self.BIBCODES]
            found = {name: Known(()) for name in batch}
            parameters = {"q": "*:*", "fl": "bibcode,identifier,doi", "rows": str(self.BIBCODES)}
            body = "\n".join(["bibcode", *batch])
            for record in self._records("POST", "bigquery", parameters, body):
                known = Known(tuple(ads_names(record)))
                for name in known.names:
                    if name in found:
                        found[name] = known
            yield found

    def _records(
        self, method: str, what: str, parameters: dict[str, str], body: str | None = None
    ) -> list[dict[str, Any]]:
        headers = self._headers | ({"Content-Type": "big-query/csv"} if body else {})
        answer = self._client.json(
            method,
            f"{self._url}/search/{what}",
            parameters,
            headers=headers,
            body=body,
            refused="set ADS_API_TOKEN to a token of "
            "https://ui.adsabs.harvard.edu/user/settings/token",
        )
        return _list(answer.get("response"), "docs", self.name)


def _list(answer: Any, field: str, service: str) -> list[dict[str, Any]]:
    values = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise AstrosearchError(f"{service} answered without a list of {field}; {RERUN}")
    return values


class PoliteClient:
    """Asks one request after another, with a pause between them, and again after a failure that
    may pass."""

    def __init__(
        self,
        reporter: Reporter = SILENT,
        *,
        pause: float = 0.2,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """
        Args:
            pause: seconds between an answer and the next request.
        """
        self._reporter, self._pause, self._sleep = reporter, pause, sleep
        self._client = httpx2.Client(
            headers={"User-Agent": f"astrosearch/{__version__} (astronomy literature search)"},
            timeout=60.0,
            limits=httpx2.Limits(max_connections=1),
            follow_redirects=True,
        )
        self._asked = False

    def __enter__(self) -> "PoliteClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def json(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        refused: str,
    ) -> dict[str, Any]:
        """The answer to a request, an object of JSON.

        Args:
            refused: what mends a refusal for lack of a key.

        Raises:
            SetupError: if the service wants another key.
            AstrosearchError: if it fails several times, or asks for too long a pause.
        """
        host = httpx2.URL(url).host
        problem = ""
        for attempt in range(1, ATTEMPTS + 1):
            if self._asked:
                self._sleep(self._pause)
            self._asked = True
            wait: float | None = None
            try:
                response = self._client.request(
                    method, url, params=dict(parameters), headers=dict(headers or {}), content=body
                )
            except httpx2.RequestError as error:
                problem = f"could not be read ({str(error) or type(error).__name__})"
            else:
                status = response.status_code
                problem = f"answered {status} {response.reason_phrase}".rstrip()
                if status in (401, 403):
                    raise SetupError(f"{host} {problem}: {refused}")
                wait = retry_after(response.headers.get("Retry-After", ""))
                if status == 200:
                    try:
                        answer = response.json()
                    except ValueError:
                        answer = None
                    if isinstance(answer, dict):
                        return answer
                    problem = "answered with something other than JSON"
                elif status != 429 and status < 500:
                    raise AstrosearchError(f"{host} {problem} to {url}; {RERUN}")
            if wait is not None and wait > LONGEST_WAIT:
                raise AstrosearchError(
                    f"{host} {problem} and asks for a pause of {wait / 60:,.0f} minutes; {RERUN}"
                )
            if attempt < ATTEMPTS:
                wait = FIRST_BACKOFF * 2 ** (attempt - 1) if wait is None else wait
                self._reporter.notify(
                    f"{host} {problem}; attempt {attempt + 1} of {ATTEMPTS} in {wait:.0f} s"
                )
                self._sleep(wait)
        raise AstrosearchError(f"{host} {problem}, {ATTEMPTS} times in a row; {RERUN}")
