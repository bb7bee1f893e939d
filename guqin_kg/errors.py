"""The error family: every message says what is wrong, where, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class GuqinKGError(Exception):
    """Base of all errors meant for people.

    Args:
        message: one sentence saying what is wrong.
        code: short stable identifier (``"unknown-character"``), for scripts.
        hint: what to do next.
        file: the file concerned, if any.
        line: 1-based line in ``file``.
        **details: further JSON-able facts (``at``, ``reading``, …), kept in ``details``.
    """

    exit_status = 1
    default_code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        file: object | None = None,
        line: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.file = str(file) if file is not None else None
        self.line = line
        self.details = details

    def __str__(self) -> str:
        where = ""
        if self.file:
            where = self.file + (f":{self.line}" if self.line else "") + ": "
        elif self.line:
            where = f"line {self.line}: "
        return f"{where}{self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")

    def to_json(self) -> dict[str, Any]:
        """The error as a JSON-able object: code, message, hint, file, line and details, where set."""
        out: dict[str, Any] = {"code": self.code, "message": self.message}
        for key in ("hint", "file", "line"):
            value = getattr(self, key)
            if value is not None:
                out[key] = value
        out.update(self.details)
        return out


class UsageError(GuqinKGError):
    """The command or function was called wrongly (exit status 2)."""

    exit_status = 2
    default_code = "usage"


class DataError(GuqinKGError):
    """The data say no: not well-formed, not found, not conforming (exit status 1)."""

    default_code = "data"


class ReadingError(DataError):
    """A reading cannot be parsed; ``details['at']`` is the 0-based character index."""

    default_code = "unreadable"

    def __str__(self) -> str:
        reading, at = self.details.get("reading"), self.details.get("at")
        if not reading:
            return super().__str__()
        place = "" if at is None else f" (character {at + 1})" if at < len(reading) else " (at its end)"
        return f"{reading}{place}: {super().__str__()}"


class NotFoundError(DataError):
    """Something asked for by name is not in the graph or on disk."""

    default_code = "not-found"


class GraphSyntaxError(DataError):
    """An RDF file is broken; carries file and line."""

    default_code = "syntax"


class ValidationError(DataError):
    """An edit was refused because it would break a shape; ``details['results']`` holds the report rows."""

    default_code = "does-not-conform"


class StoreLockedError(DataError):
    """Another process is writing to this store."""

    default_code = "locked"


class UnsafeInputError(DataError):
    """Input asks for something read paths never do (network, remote imports, updates)."""

    default_code = "refused"


class LimitError(DataError):
    """A size, row or time limit was reached."""

    default_code = "limit"


class MissingExtraError(UsageError):
    """An optional part is not installed."""

    default_code = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed", hint=f'pip install "guqin-kg[{extra}]"', extra=extra)


def decoded(data: bytes, kind: type[GuqinKGError], *, file: str | Path | None, hint: str) -> str:
    """``data`` as text.

    Raises:
        GuqinKGError: of ``kind``, with the line, when it is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise kind(
            f"not valid UTF-8 (byte 0x{data[error.start]:02x})",
            code="not-utf8",
            file=file,
            line=data.count(b"\n", 0, error.start) + 1,
            hint=hint,
        ) from None
