"""Results as plain data and as CSV, in which no text can act on whoever reads it: a terminal, a page, a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bifrost_domain.logs.cleaning import safe


def cleaned(value: Any) -> Any:
    """`value` as plain data in which no string can act on a terminal."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, Mapping):
        return {safe(str(key)): cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value


def plain(value: Any) -> Any:
    return cleaned(msgspec.to_builtins(value))


def encoded(value: Any) -> bytes:
    """`plain(value)` as JSON. What was cleaned when it came in, as nearly everything was, is written as it is."""
    data = msgspec.json.encode(value)
    text = data.decode()
    return data if "\\u" not in text and safe(text) == text else msgspec.json.encode(plain(value))


EVIDENCE_COLUMNS = (
    *("id", "created_at", "source", "provider", "model", "severity", "category", "confidence", "summary"),
    *("file", "line_start", "line_end", "quote", "reason", "verified", "fingerprint"),
)


def evidence_rows(data: dict[str, Any]) -> Iterable[dict[str, Any]]:
    report = data["report"]
    common = {
        "id": data["id"],
        "created_at": data["created_at"],
        "source": data["source"]["name"],
        "provider": data["engine"]["provider"],
        "model": data["engine"]["model"],
        "fingerprint": data["cache"]["fingerprint"],
        **{name: report[name] for name in ("severity", "category", "confidence", "summary")},
    }
    return (common | item for item in report["evidence"])


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: Any) -> Any:
    """`value` so that no spreadsheet takes it for a formula (OWASP ASVS 1.2.10)."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


def table_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]], *, header: bool = True) -> str:
    """RFC 4180, every cell quoted."""
    names = list(columns)
    out = io.StringIO()
    writer = csv.DictWriter(out, names, quoting=csv.QUOTE_ALL, extrasaction="ignore", lineterminator="\r\n")
    if header:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: cell(row.get(name)) for name in names})
    return out.getvalue()
