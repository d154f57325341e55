"""A session store in front of Redis. One sort of key, the exported basket, never expires."""

import logging
import random
import sys
import time
import uuid

import redis

logging.Formatter.converter = time.gmtime
logging.basicConfig(
    stream=sys.stdout,
    format="ts=%(asctime)s.%(msecs)03dZ level=%(levelname)s logger=%(name)s %(message)s",
    datefmt="%Y-%m-%dT%H:%M:%S",
    level=logging.INFO,
)
logging.addLevelName(logging.WARNING, "warn")
logging.addLevelName(logging.INFO, "info")
logging.addLevelName(logging.ERROR, "error")
log, exports = logging.getLogger("sessions"), logging.getLogger("exports")
store = redis.Redis(port=int(sys.argv[1]))
chance = random.Random(11)
users = [uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(400)]
log.info('msg="session store started" redis=127.0.0.1:%s', sys.argv[1])

for number in range(int(sys.argv[2])):
    user = chance.choice(users)
    started = time.perf_counter()
    try:
        match chance.choices(["read", "touch", "export", "login"], [70, 20, 4, 6])[0]:
            case "read":
                found = store.get(f"session:{user}")
                took = (time.perf_counter() - started) * 1000
                log.info('msg="session read" user=%s hit=%s took=%.2fms', user, str(found is not None).lower(), took)
                if took > 5:
                    log.warning('msg="slow read" user=%s took=%.2fms threshold=5ms', user, took)
            case "touch":
                store.set(f"session:{user}", uuid.uuid4().hex, ex=900)
                log.info('msg="session extended" user=%s ttl=900', user)
            case "export":
                key = f"export:{user}:{number}"
                store.set(key, chance.randbytes(40_000))
                exports.info('msg="basket exported" key=%s bytes=40000 ttl=none', key)
            case _ if chance.random() < 0.12:
                log.warning('msg="login refused" user=%s reason="wrong password" error=invalid_credentials', user)
            case _:
                store.set(f"session:{user}", uuid.uuid4().hex, ex=900)
                log.info('msg="login" user=%s ttl=900', user)
    except redis.RedisError as error:
        log.error('msg="write failed" user=%s error="%s: %s"', user, type(error).__name__, error)
    if number % 1000 == 999:
        memory = store.info("memory")
        log.info(
            'msg="redis memory" used=%s max=%s policy=%s fragmentation=%.2f',
            memory["used_memory_human"],
            memory["maxmemory_human"],
            memory["maxmemory_policy"],
            memory["mem_fragmentation_ratio"],
        )
    time.sleep(0.001)
log.info('msg="session store stopped"')
