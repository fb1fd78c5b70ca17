"""The faults of benchmarks/planted_faults.py can be planted: each text that one replaces is there once."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAULTS = runpy.run_path(str(ROOT / "benchmarks" / "planted_faults.py"), run_name="faults")["FAULTS"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_a_fault_finds_its_place(fault: object) -> None:
    text = (ROOT / fault.path).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert [text.count(old) for old, _ in fault.edits] == [1] * len(fault.edits)  # type: ignore[attr-defined]
