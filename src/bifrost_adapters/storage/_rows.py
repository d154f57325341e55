"""Analyses as rows and back, and places in the history as cursors."""

import base64
import binascii
import zlib
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from bifrost_domain.errors import BadOption, BatchNotFound, KeyNotFound, PromptNotFound, StorageUnavailable
from bifrost_domain.history import Provenance
from bifrost_domain.logs.digest import Digest
from bifrost_domain.report import SCHEMA_VERSION, Analysis

Kind = TypeVar("Kind")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SAME_MICROSECOND = 1000
"""Places for rows of one microsecond."""
_MOST = (1 << 63) // SAME_MICROSECOND - 1


def place(moment: datetime) -> int:
    """The first place of a moment in the history: nanoseconds since 1970, held within 64 bits (years 1677 to 2262)."""
    return max(-_MOST, min(_MOST, (moment - _EPOCH) // _MICROSECOND)) * SAME_MICROSECOND


def moment(at: int) -> datetime:
    """When the row at a place was made."""
    return _EPOCH + at // SAME_MICROSECOND * _MICROSECOND


def storable(text: str) -> str:
    """`text` for a column of text: PostgreSQL has no NUL, which becomes U+2400, its picture."""
    return text.replace("\0", "\u2400")


def no_prompt(name: str, version: int) -> PromptNotFound:
    return PromptNotFound(
        f"there is no prompt {name[:80]}@{version}", hint="`bifrost prompts list` shows those there are"
    )


def no_key(id: str) -> KeyNotFound:
    return KeyNotFound(f"there is no API key {id[:80]!r}", hint="`bifrost keys list` shows those there are")


def no_batch(id: str) -> BatchNotFound:
    return BatchNotFound(f"there is no batch {id[:80]!r}")


def to_cursor(at: int) -> str:
    """A place as opaque text, with a checksum."""
    place = at.to_bytes(8, "big", signed=True)
    return base64.urlsafe_b64encode(place + zlib.crc32(place).to_bytes(4, "big")).decode()


def from_cursor(cursor: str) -> int:
    """Raises BadOption for what `to_cursor` did not make."""
    try:
        decoded = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    place = decoded[:8]
    if len(decoded) != 12 or zlib.crc32(place).to_bytes(4, "big") != decoded[8:]:
        raise BadOption(
            "the cursor is not one of this history", hint="use the next_cursor of the page before, as it is"
        )
    return int.from_bytes(place, "big", signed=True)


def to_body(analysis: Analysis) -> bytes:
    return msgspec.json.encode(analysis)


def to_provenance(provenance: Provenance) -> bytes:
    """Compressed JSON."""
    return zlib.compress(msgspec.json.encode(provenance))


def from_provenance(id: str, body: bytes) -> Provenance:
    """Raises StorageUnavailable for what this program cannot read."""
    try:
        return msgspec.json.decode(zlib.decompress(body), type=Provenance)
    except (zlib.error, msgspec.DecodeError) as error:
        raise StorageUnavailable(
            f"what the stored analysis {id} was made of cannot be read",
            hint="its report can: bifrost history show " + id,
        ) from error


def to_digest(digest: Digest) -> bytes:
    """Compressed JSON."""
    return zlib.compress(msgspec.json.encode(digest))


def from_digest(what: str, body: bytes) -> Digest:
    """Raises StorageUnavailable for what this program cannot read."""
    try:
        return from_json(what, zlib.decompress(body), Digest)
    except zlib.error as error:
        raise StorageUnavailable(f"{what} is stored damaged") from error


def from_json(what: str, body: bytes, kind: type[Kind]) -> Kind:
    """Raises StorageUnavailable for what this program cannot read."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(f"{what} is stored in a form that this program cannot read") from error


def from_body(id: str, schema_version: int, body: bytes) -> Analysis:
    """Raises StorageUnavailable for a body that this program cannot read."""
    try:
        return msgspec.json.decode(body, type=Analysis)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(
            f"the stored analysis {id} cannot be read: it has version {schema_version}, this program reads "
            f"version {SCHEMA_VERSION}",
            hint="upgrade Bifrost, or erase it with: bifrost history delete " + id,
        ) from error
