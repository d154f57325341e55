"""The state machine of the contract tests, with many more steps."""

import asyncio
from pathlib import Path

from tests.contract.choices_storage import CHOICES
from tests.contract.test_state import run_state
from tests.faults import Row


async def f32(workdir: Path, quick: bool) -> list[Row]:
    runs, steps = (10, 20) if quick else (200, 50)
    rows = []
    for name, choice in CHOICES.items():
        await asyncio.to_thread(run_state, choice, runs, steps)
        rows.append(
            Row(f"F32 {name}: two keys in any order", "the storage is the model", f"{runs} runs of {steps} steps", True)
        )
    return rows
