"""The README and the figure of the findings quote the stored results."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from book import findings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def shown():
    return findings.numbers()


def test_the_figure_is_made_from_the_stored_results(shown):
    svg = (ROOT / "book" / "_static" / "findings.svg").read_text(encoding="utf-8")
    text = re.search(r"<dc:description>(.*?)</dc:description>", svg, re.DOTALL)[1]
    drawn = json.loads(text.replace("&quot;", '"'))
    assert drawn["total"].keys() == shown["total"].keys(), "run python book/findings.py"
    for of, kept in ((shown, drawn), (shown["total"], drawn["total"])):
        for name in of.keys() - {"total"}:
            assert np.allclose(kept[name], of[name], atol=1e-6, equal_nan=True), name


def test_the_readme_quotes_the_stored_results(shown):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r"## What we found\n(.*?)\n## ", readme, re.DOTALL)[1]
    (small, large, paper, redshift), (oxygen, mass) = shown["total"].values(), shown["missing"]
    gap = findings.exact_gap()
    for sentence in (
        f"{small[0]:.3f} ± {small[1]:.3f} nat",
        f"{large[0]:.3f} ± {large[1]:.3f} nat",
        f"{paper[0]:.2f} nat",
        f"{oxygen[0]:.2f} ± {oxygen[1]:.2f} nat more",
        f"{mass[0]:.2f} ± {mass[1]:.2f} nat more",
        f"{gap[0]:.2f} ± {gap[1]:.2f} nat of the exact posterior",
        f"A redshift adds {redshift[0]:.2f} nat",
    ):
        assert sentence in " ".join(quoted.split()), sentence
