"""Standard input, also from a slow pipe: what arrives is passed on at once."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_adapters.sources._reading import Limits, stream
from bifrost_domain.ports import Found

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """descriptor: the file descriptor to read. max_decompressed_bytes: of the input, None for any.

    most_ratio: how many times compressed input may grow, once it is over 64 MiB.
    """

    descriptor: Annotated[int, Meta(ge=0)] = 0
    max_decompressed_bytes: Annotated[int, Meta(ge=1)] | None = None
    most_ratio: Annotated[float, Meta(gt=1)] = 2000.0


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Found]:
    """One log, named `-`. Nothing is read before its chunks are asked for, and the descriptor stays open."""
    yield Found(sources=(_StandardInput(options),))


class _StandardInput:
    name = "-"
    size = None

    def __init__(self, options: Options) -> None:
        self._descriptor = options.descriptor
        self._limits = Limits(most_bytes=options.max_decompressed_bytes, most_ratio=options.most_ratio)

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return stream("standard input (-)", lambda: self._descriptor, self._limits, owned=False)
