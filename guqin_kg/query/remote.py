"""Any SPARQL 1.1 endpoint, through SPARQLWrapper, for those who outgrow one machine."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from guqin_kg.errors import DataError, LimitError, UsageError
from guqin_kg.query.binding import prologue
from guqin_kg.query.engine import DEFAULT_MAX_ROWS, DEFAULT_TIMEOUT, syntax_error, too_long, too_many
from guqin_kg.query.results import QueryResult, result_from_json
from guqin_kg.query.tokens import kind_of

#: An answer larger than this is not read further.
MAX_ANSWER_BYTES = 512 * 2**20


class RemoteBackend:
    """A SPARQL 1.1 Protocol endpoint; queries go by POST, values already bound as terms.

    Args:
        url: the query endpoint, ``http(s)://…``.
        timeout: seconds until the request is given up.
        max_rows: more rows than this are an error.
    """

    def __init__(self, url: str, timeout: float = DEFAULT_TIMEOUT, max_rows: int = DEFAULT_MAX_ROWS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(
                f"{url!r} is no http(s) address", hint="for example --endpoint http://127.0.0.1:7878/query"
            )
        self.url = url
        self.timeout = timeout
        self.max_rows = max_rows

    def query(self, text: str) -> QueryResult:
        """See ``Backend``."""
        kind = kind_of(text)
        graph = kind in ("construct", "describe")
        body = self._fetch(prologue(text), graph)
        if graph:
            import pyoxigraph as ox

            return QueryResult(triples=[q.triple for q in ox.parse(input=body, format=ox.RdfFormat.N_TRIPLES)])
        try:
            result = result_from_json(json.loads(body))
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{self.url} did not answer with whole SPARQL JSON results",
                code="endpoint-answer",
                hint="it may have cut the answer at its own time limit; ask for less",
            ) from None
        if len(result.terms) > self.max_rows:
            raise too_many(self.max_rows)
        return result

    def _fetch(self, text: str, graph: bool) -> bytes:
        from SPARQLWrapper import SPARQLExceptions, SPARQLWrapper

        wrapper = SPARQLWrapper(self.url)
        wrapper.setTimeout(max(1, round(self.timeout)))
        wrapper.setMethod("POST")
        wrapper.setQuery(text)
        wrapper.setReturnFormat("json")
        wrapper.addCustomHttpHeader("Accept", "application/n-triples" if graph else "application/sparql-results+json")
        try:
            body: Any = wrapper.query().response.read(MAX_ANSWER_BYTES + 1)
        except SPARQLExceptions.QueryBadFormed as error:
            raise syntax_error(error) from None
        except TimeoutError:
            raise too_long(self.timeout) from None
        except (SPARQLExceptions.SPARQLWrapperException, OSError) as error:
            if "timed out" in str(error):
                raise too_long(self.timeout) from None
            raise DataError(
                f"the endpoint {self.url} did not answer: {error}",
                code="endpoint",
                hint="check the address and that the server runs; docs/servers.md has two set-ups",
            ) from None
        if len(body) > MAX_ANSWER_BYTES:
            raise LimitError(f"the answer of {self.url} is larger than {MAX_ANSWER_BYTES >> 20} MB", code="too-large")
        return bytes(body)
