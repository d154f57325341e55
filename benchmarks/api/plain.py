"""The yardstick: a Litestar handler that takes a struct and gives one, and does nothing else."""

from litestar import Litestar, post
from msgspec import Struct


class Request(Struct):
    logs: str
    source: str | None = None


class Report(Struct):
    length: int
    source: str | None
    text: str


@post("/analyze", status_code=200)
async def analyze(data: Request) -> Report:
    return Report(length=len(data.logs), source=data.source, text=data.logs[:3000])


app = Litestar([analyze], openapi_config=None, logging_config=None)
