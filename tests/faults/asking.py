"""What becomes of requests to models: many at once, failures, and whoever is stopped in the middle."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import structs

from bifrost_domain.caching import cache_key
from bifrost_domain.errors import BifrostError
from bifrost_domain.prompt import ROOT_CAUSE
from bifrost_domain.report import Language
from tests.contract.servers.ollama import MODEL
from tests.contract.servers.valkey import Valkey
from tests.contract.servers.wire import Behaviour
from tests.faults import Row
from tests.faults.stage import ANSWER, LOG, analysed, answering, command, opened


async def f13(workdir: Path, quick: bool) -> list[Row]:
    """Identical requests at once."""
    rows = []
    async with answering(0.3) as stub, opened(workdir / "a", stub) as bifrost:
        results = await asyncio.gather(*(analysed(bifrost) for _ in range(50)))
        told = {(analysis.engine.provider, analysis.report.root_cause) for analysis in results}
        seen = f"{stub.calls} call, {len(results)} reports, {len(told)} diagnosis"
        rows.append(Row("F13 50 at once", "1 call, 50 reports, 1 diagnosis", seen, stub.calls == 1 and len(told) == 1))
    async with answering(0.5) as stub, opened(workdir / "b", stub) as bifrost:
        leader = asyncio.create_task(analysed(bifrost))
        await stub.asked_or(leader)
        followers = [asyncio.create_task(analysed(bifrost)) for _ in range(49)]
        await asyncio.sleep(0.2)
        leader.cancel()
        results = await asyncio.gather(*followers)
        degraded = sum(analysis.engine.degraded for analysis in results)
        seen = f"{stub.calls} calls, {len(results)} reports, {degraded} degraded"
        rows.append(
            Row(
                "F13 the one who asks leaves", "2 calls, 49 reports, 0 degraded", seen, stub.calls == 2 and not degraded
            )
        )
    async with answering(3.0, fault="html") as stub, opened(workdir / "c", stub) as bifrost:
        failed = await asyncio.gather(*(analysed(bifrost, fallback=False) for _ in range(50)), return_exceptions=True)
        kinds = {type(error).__name__ for error in failed}
        seen = f"{stub.calls} calls, {len(failed)} times {', '.join(sorted(kinds))}"
        passed = stub.calls <= 2 and all(isinstance(error, BifrostError) for error in failed)
        rows.append(Row("F13 the one who asks fails", "at most 2 calls, the same error for all", seen, passed))
    server = Valkey()
    try:
        for name, url in (("Redis", server.url), ("SQLite", "sqlite:")):
            async with answering(3.0) as stub:
                base = workdir / name
                base.mkdir()
                (base / "app.log").write_text(LOG)
                arguments = ("analyze", str(base / "app.log"), "--format", "json")
                running = [await command(base, stub.url, *arguments, BIFROST_CACHE_URL=url) for _ in range(2)]
                printed = [json.loads((await process.communicate())[0]) for process in running]
                degraded = sum(report["engine"]["degraded"] for report in printed)
                seen = f"{stub.calls} call, {len(printed)} reports, {degraded} degraded"
                passed = stub.calls == 1 and not degraded
                rows.append(Row(f"F13 two processes, {name}", "1 call, 2 reports, 0 degraded", seen, passed))
    finally:
        server.close()
    return rows


async def f14(workdir: Path, quick: bool) -> list[Row]:
    """A herd at the end of an answer's time."""
    seconds, many = (5.0, 20) if quick else (40.0, 100)
    async with answering(0.05) as stub, opened(workdir, stub, BIFROST_CACHE__TTL_HOURS=str(seconds / 3600)) as bifrost:
        await analysed(bifrost)
        await asyncio.sleep(seconds + 0.1)
        stub.requests.clear()
        stub.most_live = 0
        others = (analysed(bifrost, f"{LOG}ERROR word{'x' * (number + 3)}\n") for number in range(many))
        await asyncio.gather(*(analysed(bifrost) for _ in range(many)), *others)
        seen = f"{stub.calls} calls, at most {stub.most_live} at once"
    passed = stub.calls == many + 1 and stub.most_live <= 8
    return [Row(f"F14 {many} alike and {many} others", f"{many + 1} calls, at most 8 at once", seen, passed)]


async def f22(workdir: Path, quick: bool) -> list[Row]:
    """SIGTERM and SIGINT to a command that waits for a model."""
    rows = []
    for number in (signal.SIGTERM, signal.SIGINT):
        base = workdir / number.name
        base.mkdir()
        (base / "app.log").write_text(LOG)
        async with answering(60.0) as stub:
            process = await command(base, stub.url, "analyze", str(base / "app.log"))
            await stub.asked_or(asyncio.create_task(process.wait()))
            process.send_signal(number)
            output, _ = await asyncio.wait_for(process.communicate(), 25)
            path = base / "data" / "bifrost" / "bifrost.db"
            stored = _stored(path) if path.exists() else 0
            seen = f"exit {process.returncode}, {len(output)} bytes printed, {stored} stored"
        passed = process.returncode not in (0, None) and not output and not stored
        rows.append(
            Row(f"F22 {number.name} while a model is asked", "ends, nothing half printed or stored", seen, passed)
        )
    return rows


def _stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute("SELECT count(*) FROM analyses").fetchone()[0])


async def f27(workdir: Path, quick: bool) -> list[Row]:
    """Whatever changes an answer changes the key."""
    calls = 0

    async def one(provider: str = "ollama", *, options: dict[str, Any] | None = None, **change: Any) -> None:
        nonlocal calls
        wishes = {name: change.pop(name) for name in ("language", "prompt", "key") if name in change}
        async with answering() as stub:
            entry = {"kind": "ollama", "host": stub.url, "model": MODEL} | (options or {})
            change |= {"BIFROST_PROVIDER": provider, "BIFROST_PROVIDERS": json.dumps({provider: entry})}
            async with opened(
                workdir / "one", stub, BIFROST_REDACTION__KEY=change.pop("secret", "k" * 64), **change
            ) as one:
                await analysed(one, **wishes)
            calls += stub.calls

    await one()
    first = calls
    await one("second")
    await one(options={"temperature": 0.7})
    await one(language=Language.KO)
    await one(prompt=structs.replace(ROOT_CAUSE, version=2, system=ROOT_CAUSE.system + " Be brief."))
    await one(BIFROST_REDACTION__PII="false")
    await one(BIFROST_REDACTION__PSEUDONYMS="true")
    await one(secret="s" * 64)
    distinct = calls
    await one()
    await one(key="another")
    seen = f"{first} + {distinct - first} calls, then {calls - distinct} for the same and for another key"
    collide = cache_key(b"k", ("a-b", "c")) == cache_key(b"k", ("a", "b-c"))
    return [
        Row(
            "F27 seven variants of one request",
            "1 + 7 calls, then 0 for the same and for another key",
            seen,
            (first, distinct - first, calls - distinct) == (1, 7, 0),
        ),
        Row("F27 parts that read alike when joined", "two keys", "one key" if collide else "two keys", not collide),
    ]


async def f28(workdir: Path, quick: bool) -> list[Row]:
    """What failed or was degraded is never served later."""
    faults = ("hang_first", "cut", "reset", "html", "empty", "error_event")
    rows = []
    for fault in faults:
        limits = {"BIFROST_LIMITS__FIRST_TOKEN_SECONDS": "0.5", "BIFROST_LIMITS__IDLE_SECONDS": "0.5"}
        async with answering(fault=fault) as stub, opened(workdir / fault, stub, **limits) as bifrost:
            degraded = await analysed(bifrost)
            before = stub.calls
            stub.behaviour = Behaviour(pieces=(ANSWER,))
            good = await analysed(bifrost)
            again = await analysed(bifrost)
            seen = (
                f"{'degraded' if degraded.engine.degraded else 'not degraded'}, then {stub.calls - before} call, "
                f"then {'a hit' if again.cache.hit else 'no hit'}"
            )
        passed = degraded.engine.degraded and not good.cache.hit and stub.calls == before + 1 and again.cache.hit
        rows.append(Row(f"F28 {fault}", "degraded, then 1 call, then a hit", seen, passed))
    return rows
