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
import orjson

from astrosearch import __version__
from astrosearch.citations.keys import key_of, rank_of
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


_TOKEN = "set ADS_API_TOKEN to a token of https://ui.adsabs.harvard.edu/user/settings/token"


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
            for key, record in self._found(batch, "reference"):
                references = tuple(record.get("reference") or ())
                found[key] = Known((key, *ads_names(record)), references)
            yield found

    def bibcodes(self, asked: Sequence[Asked]) -> Iterator[dict[str, str]]:
        """The bibcodes of papers by their keys, empty for those that ADS does not know; a request
        at a time."""
        for start in range(0, len(asked), self.PAPERS):
            batch = asked[start : start + self.PAPERS]
            found = {paper.key: "" for paper in batch}
            yield found | {key: str(record["bibcode"]) for key, record in self._found(batch)}

    def _found(self, batch: Sequence[Asked], *more: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The keys of papers and their records, which have `more` fields beside their names."""
        by_name = {paper.key: paper.key for paper in batch}
        by_name |= {paper.doi.lower(): paper.key for paper in batch if paper.doi}
        for query in self._searches(batch):
            fields = ",".join(("bibcode", "identifier", "doi", *more))
            parameters = {"q": query, "fl": fields, "rows": "200"}
            for record in self._records("GET", "query", parameters):
                keys = {by_name.get(key_of(name) or "") for name in ads_names(record)}
                yield from ((key, record) for key in keys if key is not None)

    def _searches(self, batch: Sequence[Asked]) -> Iterator[str]:
        terms: list[str] = []
        for paper in batch:
            is_bare = paper.key.startswith("10.") or rank_of(paper.key) == 2
            text = paper.key if is_bare else f"arXiv:{paper.key}"
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

    ROWS = 100
    """Libraries of an answer."""

    def library(self, name: str) -> str | None:
        """The number of the user's library of a name; None if there is none.

        Raises:
            AstrosearchError: if several have it, or it must not be changed.
        """
        found: dict[str, str] = {}
        before = -1
        while len(found) > before:  # a service that knows no pages gives all at once
            before = len(found)
            parameters = {"start": str(before), "rows": str(self.ROWS)}
            answer = self._biblib("GET", "libraries", parameters)
            records = _list(answer, "libraries", self.name)
            found |= {str(each["id"]): str(each["name"]) for each in records}
            if len(records) < self.ROWS:
                break
        numbers = [number for number, each in found.items() if each == name]
        if len(numbers) > 1:
            raise AstrosearchError(f"{len(numbers)} libraries at ADS are called {name}: rename one")
        return next(iter(numbers), None)

    def new_library(self, name: str) -> str:
        """Make a private library; returns its number."""
        body = {"name": name, "description": "By astrosearch", "public": False, "bibcode": []}
        number = self._biblib("POST", "libraries", {}, body).get("id")
        if not isinstance(number, str):
            raise AstrosearchError(f"ADS did not say the number of the new library {name}")
        return number

    def add_to_library(self, number: str, bibcodes: Sequence[str]) -> tuple[int, set[str]]:
        """Add papers to a library; returns how many were new to it, and which ADS does not know."""
        body = {"bibcode": list(bibcodes), "action": "add"}
        answer = self._biblib("POST", f"documents/{number}", {}, body)
        # The documentation calls them bibcodes, the service identifiers.
        unknown = answer.get("invalid_bibcodes") or answer.get("invalid_identifiers") or ()
        number_added = answer.get("number_added")
        return number_added if isinstance(number_added, int) else 0, set(map(str, unknown))

    def _biblib(
        self, method: str, what: str, parameters: dict[str, str], body: object = None
    ) -> dict[str, Any]:
        return self._client.json(
            method,
            f"{self._url}/biblib/{what}",
            parameters,
            headers=self._headers | ({"Content-Type": "application/json"} if body else {}),
            body=orjson.dumps(body).decode() if body else None,
            refused=_TOKEN,
        )

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
            refused=_TOKEN,
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
