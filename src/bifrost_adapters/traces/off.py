"""No traces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from bifrost_domain.observations import Observation
from bifrost_domain.ports import Observer

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Observer]:
    yield _Nothing()


class _Nothing:
    def observe(self, observation: Observation) -> None:
        pass
