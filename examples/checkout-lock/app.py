"""A checkout service: FastAPI, SQLAlchemy with a bounded pool, PostgreSQL."""

import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

logging.Formatter.converter = time.gmtime
logging.basicConfig(format="%(asctime)s %(levelname)-7s [%(name)s] %(message)s", level=logging.INFO)
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("checkout.api")
pool_log = logging.getLogger("checkout.db")
engine = create_engine(os.environ["DATABASE_URL"], pool_size=5, max_overflow=3, pool_timeout=4)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    pool_log.info("pool ready: size=5 max_overflow=3 timeout=4s")
    yield


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def access(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.perf_counter()
    trace = uuid.uuid4().hex[:16]
    response = await call_next(request)
    status = response.status_code
    level = logging.INFO if status < 500 else logging.ERROR
    took = (time.perf_counter() - started) * 1000
    log.log(level, 'trace=%s "%s %s" %d %.1fms', trace, request.method, request.url.path, status, took)
    return response


@contextmanager
def transaction() -> Iterator[Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    except PoolTimeout as error:
        pool_log.exception("no connection could be had")
        raise HTTPException(503, "try again later") from error


@app.get("/cart/{customer}")
def cart(customer: int) -> dict[str, int]:
    with transaction() as connection:
        total = connection.execute(
            text("SELECT coalesce(sum(amount), 0) FROM orders WHERE customer = :customer"), {"customer": customer}
        ).scalar_one()
    return {"total": total}


@app.post("/orders/{customer}")
def order(customer: int) -> dict[str, int]:
    with transaction() as connection:
        number = connection.execute(
            text("INSERT INTO orders (customer, amount) VALUES (:customer, 1999) RETURNING id"),
            {"customer": customer},
        ).scalar_one()
    log.info("order %d placed by customer %d", number, customer)
    return {"order": number}


@app.get("/healthz")
def health(response: Response) -> dict[str, str]:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except PoolTimeout as error:
        pool_log.error("health check failed: %s", str(error).splitlines()[0])
        response.status_code = 503
        return {"status": "unhealthy"}
    pool_log.info("health ok, %s", engine.pool.status())
    return {"status": "ok"}
