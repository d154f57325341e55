"""Customers: so many requests a second for so many seconds, each on its own, and a probe every five."""

import asyncio
import logging
import random
import sys
import time

import httpx

logging.Formatter.converter = time.gmtime
logging.basicConfig(format="%(asctime)s %(levelname)-7s [%(name)s] %(message)s", level=logging.INFO)
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("gateway")


async def ask(client: httpx.AsyncClient, method: str, path: str) -> None:
    try:
        answer = await client.request(method, path)
        if answer.status_code >= 500:
            log.warning("upstream checkout answered %d to %s %s", answer.status_code, method, path)
    except httpx.TimeoutException:
        log.error("upstream checkout timed out after 10s: %s %s", method, path)


async def main(url: str, rate: float, seconds: float) -> None:
    chance = random.Random(7)
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(base_url=url, timeout=10, limits=limits) as client, asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            if number % int(rate * 5) == 0:
                group.create_task(ask(client, "GET", "/healthz"))
            customer = chance.randrange(1, 5000)
            method, path = chance.choice([("GET", "/cart"), ("GET", "/cart"), ("POST", "/orders")])
            group.create_task(ask(client, method, f"{path}/{customer}"))
            await asyncio.sleep(chance.expovariate(rate))


asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
