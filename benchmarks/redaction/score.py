"""How much of the corpus is masked, how much of the rest is left alone, and at what speed.

    python benchmarks/redaction/score.py [--seed N] [--misses] [LOG ...]

A secret leaks if any 12 characters of it in a row survive, be it in text (`Redactor.lines`) or in a byte stream
(`RedactingStream`). Precision is the share of changed lines that held a secret. The held-out lists were written after
the rules, by the same hands: they say how the rules generalise, not how they do on logs that nobody has seen. With logs
named, their speed is measured; else that of a synthetic service log.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from corpus import Fakes, Sample, corpus
from heldout import heldout, unseen
from heldout_2 import fourth, third

from bifrost_domain.logs.redaction import RedactingStream, Redactor

_WINDOW = 12
KEY = b"benchmark" * 4


def leaks(sample: Sample, output: str) -> bool:
    return any(
        secret[at : at + _WINDOW] in output
        for secret in sample.secrets
        for at in range(max(1, len(secret) - _WINDOW + 1))
    )


def outputs(redactor: Redactor, sample: Sample) -> tuple[str, str]:
    lines = "\n".join(result.text for result in redactor.lines(sample.text.split("\n")))
    stream = RedactingStream(redactor)
    data = stream.feed(sample.text.encode() + b"\n") + stream.finish()
    return lines, data.decode()[:-1]


def score(title: str, samples: list[Sample], redactor: Redactor, misses: bool) -> None:
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    changed_rightly = changed_wrongly = 0
    for sample in samples:
        found = outputs(redactor, sample)
        changed = any(output != sample.text for output in found)
        fine = not any(leaks(sample, output) for output in found) if sample.secrets else not changed
        total[sample.group] += 1
        good[sample.group] += fine
        changed_rightly += bool(sample.secrets) and changed
        changed_wrongly += not sample.secrets and changed
        if misses and not fine:
            print(f"  {sample.group}/{sample.kind}: {sample.text[:160]!r}\n      -> {found[0][:160]!r}")
    print(title)
    for group in total:
        share = good[group] / total[group]
        print(f"  {group:12} {good[group]:4} of {total[group]:4}  {share:7.1%}")
    secrets = [group for group in total if group in ("token", "context")]
    if secrets:
        share = sum(good[group] for group in secrets) / sum(total[group] for group in secrets)
        print(f"  {'secrets':12} {share:22.1%}")
    print(f"  {'precision':12} {changed_rightly / max(1, changed_rightly + changed_wrongly):22.1%}")


def speed(title: str, data: bytes) -> None:
    best = float("inf")
    for _ in range(3):
        stream = RedactingStream(Redactor(KEY))
        began = time.process_time()
        for at in range(0, len(data), 1 << 18):
            stream.feed(data[at : at + (1 << 18)])
        stream.finish()
        best = min(best, time.process_time() - began)
    masked = sum(stream.counts.values())
    print(f"  {title:28} {len(data) / best / 1e6:7.1f} MB/s  ({len(data) / 1e6:.1f} MB, {masked} masked)")


def service_log(fakes: Fakes, lines: int) -> bytes:
    """What a service writes all day: requests, identifiers, numbers, nothing to hide."""
    return "".join(
        f"2024-05-04T10:{at // 60 % 60:02}:{at % 60:02}.{at % 1000:03}Z INFO  [http-{at % 16}] "
        f"request_id={fakes.uuid()} GET /api/v1/items/{at} status=200 duration={at % 97}ms bytes={at * 37 % 90000} peer=10.0.{at % 256}.7\n"
        for at in range(lines)
    ).encode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--misses", action="store_true", help="print every sample that failed")
    parser.add_argument("logs", nargs="*", type=Path, help="logs to measure the speed on")
    options = parser.parse_args()
    redactor = Redactor(KEY)
    samples = corpus(options.seed)
    score(f"corpus, seed {options.seed}, {len(samples)} samples", samples, redactor, options.misses)
    for title, make in (
        ("held out, first list", heldout),
        ("held out, second list", unseen),
        ("held out, third list", third),
        ("held out, fourth list", fourth),
    ):
        apart = make(options.seed)
        score(f"{title}, {len(apart)} samples", apart, redactor, options.misses)
    print("speed on one core")
    for path in options.logs:
        speed(path.name, path.read_bytes())
    if not options.logs:
        plain = service_log(Fakes(options.seed), 60_000)
        speed("service log, no secrets", plain)
        held = [sample.text for sample in samples if sample.secrets]
        rows = plain.decode().splitlines()
        some = "\n".join(row if at % 100 else held[at // 100 % len(held)] for at, row in enumerate(rows))
        speed("the same, 1 line in 100", some.encode())
        dense = "".join(f"2024-05-04T10:00:00.{at:06}Z {held[at % len(held)]}\n" for at in range(20_000))
        speed("a secret in every line", dense.encode())
        speed("the same lines again", "\n".join(held * (20_000 // len(held))).encode())


if __name__ == "__main__":
    main()
