"""Runs a command's work on an open Bifrost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bifrost_domain.application import Application
from bifrost_entrypoints.cli.options import Common
from bifrost_entrypoints.container import open_application

Result = TypeVar("Result")


def with_bifrost(common: Common, work: Callable[[Application], Awaitable[Result]]) -> Result:
    """What `work` gives, with everything that it opened closed again."""

    async def run() -> Result:
        async with open_application(common.load().settings) as bifrost:
            return await work(bifrost)

    return asyncio.run(run())
