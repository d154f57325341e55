"""No metrics: nothing is counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from bifrost_domain.observations import Exposition, Observation
from bifrost_domain.ports import Metrics

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Metrics]:
    yield _Nothing()


class _Nothing:
    def observe(self, observation: Observation) -> None:
        pass

    def exposition(self) -> Exposition:
        return Exposition(content_type="text/plain; charset=utf-8", body=b"")
