"""The OpenAPI document, made from the requests' own classes."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from astrosearch import __version__
from astrosearch.server import problems, requests
from astrosearch.server.formats import MEDIA_TYPES
from astrosearch.server.metrics import MEDIA_TYPE as METRICS_TYPE

_WORDS = {"type": "array", "items": {"type": "string"}}
_NUMBER, _COUNT = {"type": "number"}, {"type": "integer"}
_TEXT_OR_NONE = {"type": ["string", "null"]}
_PAPER = {
    "id": {"type": "string"},
    "title": {"type": "string", "description": "With its TeX."},
    "authors": _WORDS,
    "categories": _WORDS,
    "published": {"type": "string", "format": "date"},
    "year": _COUNT,
    "abstract": {"type": "string", "description": "With its TeX."},
    "url": {"type": "string", "format": "uri"},
    "doi": _TEXT_OR_NONE,
    "journal_ref": _TEXT_OR_NONE,
    "version": {"type": ["integer", "null"]},
    "is_summary": {"type": "boolean", "description": "Whether `abstract` is not the authors' own."},
}
_HIT = {
    "rank": _COUNT,
    "match": {
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
        "description": "The chance that the paper is relevant, in percent. Of an index whose "
        "encoder compares no tokens: how good the hit is, from 0 to the best that the query could "
        "have, 100.",
    },
    "score": {**_NUMBER, "description": "What the hits are ordered by."},
    "contributions": {
        "type": "object",
        "additionalProperties": _NUMBER,
        "description": "What each group of signals adds to the score that the chance is computed "
        "from, against an average candidate; empty where nothing learnt decides.",
    },
    **_PAPER,
}


def _object(**properties: object) -> dict[str, object]:
    """A record that may have more fields, as later versions will."""
    return {"type": "object", "required": list(properties), "properties": properties}


_MEANT = {
    **_TEXT_OR_NONE,
    "description": "The whole query as it was probably meant, where no paper has a word of it.",
}
_ANSWER = {
    "weak_match": {"type": "boolean", "description": "Whether the hits may mean little."},
    "notes": {**_WORDS, "description": "What has to be said of the answer."},
    "meant": _MEANT,
    "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
}
_SCHEMAS: dict[str, object] = {
    "Problem": _object(
        type={"type": "string"},
        title={"type": "string"},
        status=_COUNT,
        detail={"type": "string"},
        exit_code={
            "type": "integer",
            "description": "With which the command line would have ended: 1 failed, 2 wrong input, "
            "3 something has to be set up, 4 nothing found.",
        },
    ),
    "Paper": _object(index={"type": "string"}, **_PAPER),
    "Hit": _object(**_HIT),
    "Answer": _object(
        query={"type": "string"},
        index={"type": "string"},
        next_offset={"type": ["integer", "null"], "description": "`offset` of the next page."},
        **_ANSWER,
    ),
    "Quotes": _object(
        index={"type": "string"},
        question={"type": "string"},
        chance={**_NUMBER, "description": "From 0 to 1: that one of the papers answers."},
        unsure={"type": "boolean", "description": "Whether that is low."},
        notes=_WORDS,
        meant=_MEANT,
        groups={
            "type": "array",
            "items": _object(
                heading={"type": "string"},
                quotes={
                    "type": "array",
                    "items": _object(
                        source={"type": "integer", "description": "The number of its paper."},
                        id={"type": "string"},
                        text={"type": "string", "description": "A sentence of the abstract."},
                    ),
                },
            ),
        },
        sources={"type": "array", "items": _object(source=_COUNT, **_PAPER)},
    ),
    "Citations": _object(
        index={"type": "string"},
        total={**_COUNT, "description": "How many works there are."},
        next_offset={"type": ["integer", "null"], "description": "`offset` of the next page."},
        works={
            "type": "array",
            "description": "One that is a paper of the index has the fields of a paper, too.",
            "items": _object(
                key={
                    "type": "string",
                    "description": "An arXiv identifier, a DOI, a bibcode, or a number of OpenAlex "
                    "or Semantic Scholar.",
                },
                citations={**_COUNT, "description": "How many works cite it."},
            ),
        },
    ),
    "Batch": _object(
        index={"type": "string"},
        answers={"type": "array", "items": _object(query={"type": "string"}, **_ANSWER)},
    ),
    "Comparison": _object(
        index={"type": "string"}, encoders={"type": "array", "items": {"type": "object"}}
    ),
    "Facets": _object(
        index={"type": "string"},
        years={"type": "object", "additionalProperties": _COUNT},
        categories={"type": "object", "additionalProperties": _COUNT},
    ),
    "Indexes": _object(
        default={"type": "string"},
        library={"type": "boolean", "description": "Whether the library is for clients."},
        indexes={"type": "array", "items": _object(name={"type": "string"})},
    ),
    "Library": _object(
        papers={"type": "array", "items": {"$ref": "#/components/schemas/OwnPaper"}},
        tags={"type": "object", "additionalProperties": _COUNT},
        notes=_WORDS,
    ),
    "OwnPaper": _object(
        id={"type": "string", "description": "The arXiv identifier, else the key."},
        key={"type": "string"},
        title={"type": "string"},
        authors=_WORDS,
        year={"type": ["integer", "null"]},
        tags=_WORDS,
        opinion={"enum": ["", "liked", "disliked"]},
        read={"type": "boolean"},
        note={"type": "string"},
    ),
    "New": _object(
        index={"type": "string"},
        since={"type": "string", "format": "date"},
        new={**_COUNT, "description": "How many papers are new, shown or not."},
        library={**_COUNT, "description": "Papers of the library that the order comes from."},
        notes=_WORDS,
        hits={
            "type": "array",
            "items": _object(
                rank=_COUNT,
                match={
                    "type": ["integer", "null"],
                    "description": "From 0, as a random paper, to 100, as near as the library's "
                    "own papers are to each other at best; null without a library.",
                },
                pinned={"type": "boolean", "description": "Whether it is followed."},
                reasons=_WORDS,
                near={**_WORDS, "description": "Papers of the library that it is near to."},
                **_PAPER,
            ),
        },
    ),
    "Seen": _object(index={"type": "string"}, newest={"type": "string", "format": "date"}),
    "SavedSearch": _object(
        name={"type": "string"},
        parameters={"type": "object", "description": "As `/api/query` takes them, and `format`."},
    ),
    "Searches": _object(
        searches={"type": "array", "items": {"$ref": "#/components/schemas/SavedSearch"}},
        notes=_WORDS,
    ),
    "Name": _object(name={"type": "string"}),
    "Models": _object(
        object={"const": "list"},
        data={"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
    ),
    "Model": _object(
        id={"type": "string"},
        object={"const": "model"},
        created=_COUNT,
        owned_by={"type": "string"},
    ),
    "Embeddings": _object(
        object={"const": "list"},
        model={"type": "string"},
        data={"type": "array", "items": _object(index=_COUNT)},
        usage=_object(prompt_tokens=_COUNT, total_tokens=_COUNT),
    ),
    "OpenAIError": _object(error=_object(message={"type": "string"}, type={"type": "string"})),
}

_IN_PATH: dict[type[BaseModel], str] = {
    requests.PaperRequest: "id",
    requests.MarkRequest: "id",
    requests.RemoveRequest: "id",
    requests.SavedRequest: "name",
    requests.SaveRequest: "name",
    requests.ForgetRequest: "name",
    requests.ModelRequest: "id",
}
"""The field that is a part of the path."""

_REASONS = {
    "400": "A parameter is wrong.",
    "401": "The server wants a token.",
    "403": "It is not for clients, or not for pages of this site.",
    "404": "There is no such paper, index, model or search.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "415": "The body is not JSON.",
    "421": "The server does not have this name.",
    "500": "The server failed.",
    "503": "The server is busy, or something has to be set up on it.",
    "504": "The answer took too long.",
}


def document(has_token: bool) -> dict[str, Any]:
    """The document, as JSON.

    Args:
        has_token: whether clients have to show one.
    """
    operations = {
        "/api/query": _get(requests.QueryRequest, "Answer", papers=True),
        "/api/similar": _get(requests.SimilarRequest, "Answer", papers=True),
        "/api/cite": _get(requests.CiteRequest, "Answer", papers=True),
        "/api/ask": _get(requests.AskRequest, "Quotes"),
        "/api/papers/{id}": _get(requests.PaperRequest, "Paper", papers=True),
        "/api/citations": _get(requests.CitationsRequest, "Citations"),
        "/api/compare": _get(requests.CompareRequest, "Comparison"),
        "/api/facets": _get(requests.FacetsRequest, "Facets"),
        "/api/map": _map(),
        "/api/library": _get(requests.LibraryRequest, "Library", papers=True),
        "/api/library/{id}": {
            **_post(requests.Marks, "OwnPaper", method="put", of=requests.MarkRequest),
            **_get(requests.RemoveRequest, "OwnPaper", method="delete"),
        },
        "/api/new": _get(requests.NewRequest, "New", papers=True),
        "/api/seen": _post(requests.SeenRequest, "Seen"),
        "/api/searches": _get(requests.SearchesRequest, "Searches"),
        "/api/searches/{name}": {
            **_get(requests.SavedRequest, "Answer", papers=True),
            **_post(requests.Search, "SavedSearch", method="put", of=requests.SaveRequest),
            **_get(requests.ForgetRequest, "Name", method="delete"),
        },
        "/api/batch": _post(requests.BatchRequest, "Batch"),
        "/api/indexes": _get(None, "Indexes", summary="The indexes that are served."),
        "/v1/models": _get(
            None, "Models", summary="The encoders, as OpenAI lists models.", error="OpenAIError"
        ),
        "/v1/models/{id}": _get(requests.ModelRequest, "Model", error="OpenAIError"),
        "/v1/embeddings": _post(requests.EmbeddingRequest, "Embeddings", error="OpenAIError"),
        "/healthz": _plain("Whether the server answers.", "application/json"),
        "/metrics": _plain("What the server counts, for Prometheus.", METRICS_TYPE),
    }
    record: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "astrosearch", "version": __version__},
        "paths": operations,
        "components": {"schemas": {**_SCHEMAS, **_body_schemas()}},
    }
    if has_token:
        schemes = {"token": {"type": "http", "scheme": "bearer"}}
        record["components"]["securitySchemes"] = schemes
        record["security"] = [{"token": []}]
    return record


def _body_schemas() -> dict[str, Any]:
    bodies = (
        requests.BatchRequest,
        requests.EmbeddingRequest,
        requests.Marks,
        requests.SeenRequest,
        requests.Search,
    )
    template = "#/components/schemas/{model}"
    _, definitions = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=template
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _get(
    model: type[BaseModel] | None,
    schema: str,
    *,
    papers: bool = False,
    summary: str = "",
    method: str = "get",
    error: str = "Problem",
) -> dict[str, Any]:
    """An operation without a body.

    Args:
        papers: whether it gives papers, in all formats.
    """
    content: dict[str, Any] = {"application/json": {"schema": _reference(schema)}}
    if papers:
        for name, media_type in MEDIA_TYPES.items():
            content.setdefault(media_type, {"schema": {"type": "string", "title": name}})
    operation = {
        "summary": summary or (model.__doc__ if model else ""),
        "parameters": _parameters(model) if model else [],
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **_problems("400", "401", "403", "404", "421", "500", "503", "504", schema=error),
        },
    }
    return {method: operation}


def _post(
    model: type[BaseModel],
    schema: str,
    error: str = "Problem",
    *,
    method: str = "post",
    of: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """An operation with a body.

    Args:
        model: of the body.
        of: the request that it is a part of, beside what is in the path.
    """
    body = {
        "required": True,
        "content": {"application/json": {"schema": _reference(model.__name__)}},
    }
    operation = {
        "summary": (of or model).__doc__,
        "parameters": [each for each in _parameters(of) if each["in"] == "path"] if of else [],
        "requestBody": body,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {"application/json": {"schema": _reference(schema)}},
            },
            **_problems(*_REASONS, schema=error),
        },
    }
    return {method: operation}


def _map() -> dict[str, Any]:
    """The map is bytes, to be drawn at once."""
    operation = _get(requests.MapRequest, "Paper")
    operation["get"]["responses"]["200"] = {
        "description": "The length of a header (uint32), the header (JSON: papers, categories, "
        "regions, snapshot, missing, has_citations); of each paper, all little-endian, x and y "
        "(uint16), then the years (uint16), then, if has_citations, how many works cite it "
        "(uint16), then the places of the primary categories (uint8, 255 for none), then the ids, "
        "a line each.",
        "content": {"application/octet-stream": {}},
    }
    return operation


def _plain(summary: str, media_type: str) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": {media_type: {}}}}
    return {
        "get": {"summary": summary, "responses": {**responses, **_problems("400", "401", "421")}}
    }


def _problems(*statuses: str, schema: str = "Problem") -> dict[str, Any]:
    media_type = problems.MEDIA_TYPE if schema == "Problem" else "application/json"
    problem = {media_type: {"schema": _reference(schema)}}
    return {
        status: {"description": _REASONS[status], "content": problem} for status in sorted(statuses)
    }


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        is_path = _IN_PATH.get(model) == name
        field = _without_null(field)
        parameter = {
            "name": name,
            "in": "path" if is_path else "query",
            "required": is_path or name in schema.get("required", ()),
            "description": field.pop("description", ""),
            "schema": field,
        }
        if examples := field.pop("examples", None):
            parameter["example"] = examples[0]
        parameters.append(parameter)
    return parameters


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is none at all; there is no way to write null in an address."""
    rest = {name: value for name, value in field.items() if name not in ("anyOf", "title")}
    if rest.get("default", 0) is None:
        del rest["default"]
    for choice in field.get("anyOf", ()):
        if choice != {"type": "null"}:
            rest |= choice
    return rest


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
