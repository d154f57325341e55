"""Standard input, also from a slow pipe: what arrives is passed on at once."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_adapters.sources._reading import decompressed, descriptor_chunks
from bifrost_domain.ports import Found

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """descriptor: the file descriptor to read. most_ratio: how many times compressed input may grow."""

    descriptor: Annotated[int, Meta(ge=0)] = 0
    most_ratio: Annotated[float, Meta(gt=1)] = 2000.0


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Found]:
    yield Found(sources=(_StandardInput(options),))


class _StandardInput:
    name = "-"

    def __init__(self, options: Options) -> None:
        self._options = options

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return decompressed(descriptor_chunks(self._options.descriptor), self.name, self._options.most_ratio)
