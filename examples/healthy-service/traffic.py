"""Customers of a service with nothing wrong, and a report on them every five seconds."""

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


async def main(url: str, seconds: int) -> None:
    chance = random.Random(3)
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        for _ in range(seconds // 5):
            requests = errors = 0
            end = time.monotonic() + 5
            await client.get("/healthz")
            while time.monotonic() < end:
                method, path = chance.choice([("GET", "/cart"), ("GET", "/cart"), ("POST", "/orders")])
                answer = await client.request(method, f"{path}/{chance.randrange(1, 5000)}")
                requests += 1
                errors += answer.status_code >= 400
                await asyncio.sleep(chance.expovariate(9))
            log.info("last 5s: requests=%d errors=%d timeouts=0 retries=0 failed=0", requests, errors)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
