"""An adapter that no contract suite runs is a red build."""

from collections.abc import Mapping
from typing import Any

import pytest

from bifrost_adapters import slots


@pytest.mark.parametrize("slot", ["models", "storage", "cache", "queue"])
def test_every_adapter_of_the_slot_is_enrolled_in_its_suite(
    slot: str, choices: Mapping[str, Mapping[str, Any]]
) -> None:
    assert {choice.kind for choice in choices[slot].values()} >= set(slots.names(slot))
