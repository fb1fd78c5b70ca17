"""The page's own small function writes numbers as every table does."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from archlens.render.page.page import asset
from archlens.words import axes, number, percent, phases

SHARES = [0, 1e-12, 5e-5, 1e-4, 0.00123, 0.0042, 0.0099, 0.00994, 0.00996, 0.0123, 0.082, 0.5]
SHARES += [123.45, 0.9994, 0.99951, 0.99999, 1.0, -0.25, -0.9999, -1.5, -1e-5]
NUMBERS = [0, 1, 999, 9999, 10000, 263169, 0.125, 2.6875, 1 / 3, 12345.678, 9999.5, 0.0004, -0.0001]
AXES = [[8, 8], [2, 1, 2], [0.5, 1 / 3]]
SIZES = [[[436, 468], [436, 468]], [[7], [11]], [[7], [436, 468]], [[1, 2, 3, 4]]]


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script")
def test_the_page_writes_numbers_as_python_does() -> None:
    code = asset("words.js") + (
        f"const given = {json.dumps([SHARES, NUMBERS, AXES, SIZES])};"
        "const writers = [percent, number, axes, phases];"
        "console.log(JSON.stringify(given.map((values, i) => values.map((value) => writers[i](value)))));"
    )
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True)
    wanted = [
        list(map(percent, SHARES)),
        list(map(number, NUMBERS)),
        list(map(axes, AXES)),
        list(map(phases, SIZES)),
    ]
    assert json.loads(done.stdout) == wanted
