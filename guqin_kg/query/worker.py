"""The child process of ``WorkerBackend``: one query from standard input, its answer on standard output."""

from __future__ import annotations

import json
import sys

MEMORY_LIMIT = 8 * 2**30


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not every system has limits; the deadline still holds
        return


def main() -> int:
    """Answer one query; a JSON object with ``error`` on failure."""
    import pyoxigraph as ox

    from guqin_kg.errors import LimitError
    from guqin_kg.query.engine import collect

    _limit_memory()
    job = json.load(sys.stdin)
    out = sys.stdout.buffer
    try:
        result = collect(ox.Store.read_only(job["store"]).query(job["query"]), job["max_rows"])
    except LimitError:
        out.write(json.dumps({"error": "rows"}).encode())
        return 1
    except (SyntaxError, ValueError) as error:
        out.write(json.dumps({"error": "syntax", "message": str(error)}).encode())
        return 1
    except (OSError, RuntimeError) as error:
        out.write(json.dumps({"error": "failed", "message": str(error)}).encode())
        return 1
    if result.triples is not None:
        out.write(b"triples\n")
        ox.serialize(result.triples, out, format=ox.RdfFormat.N_TRIPLES)
    else:
        out.write(b"json\n" + json.dumps(result.to_json(), ensure_ascii=False).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
