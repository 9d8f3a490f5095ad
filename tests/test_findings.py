"""The README and the figure of the findings quote the stored results."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from book import findings
from galcfm import Posterior, Survey
from galcfm.posterior.published import published_names
from galcfm.properties import BANDS
from studies import calibration, real_galaxies
from studies.calibration import ranks

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


@pytest.fixture(scope="module")
def quoted():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"## What we found\n(.*?)\n## ", readme, re.DOTALL)[1]
    return " ".join(found.split())


def test_the_readme_quotes_the_stored_results(shown, quoted):
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
        assert sentence in quoted, sentence


def test_the_readme_says_how_calibrated_the_models_are(quoted):
    result = calibration.STUDY.read()
    galaxies, n_draws = result.table(), result.content["identity"]["n_draws"]
    regions = {
        name: ranks.region_shares(ranks.ranks_under(name, galaxies)["hpd"], n_draws)
        for name in ("photometry", "image")
    }
    off = (regions["photometry"]["found"] - regions["photometry"]["nominal"]).abs()
    assert off.max() < 1
    assert "photometry model are right within one percent" in quoted
    middle = regions["image"].iloc[1]
    assert middle["found"] < middle["nominal"] - 2 * middle["error"]
    words = f"regions of {middle['nominal']:.0f} % contain {middle['found']:.1f} % of the galaxies"
    assert words in quoted


def test_the_readme_says_how_masses_of_real_galaxies_agree(quoted):
    columns = {f"mag_{band}": f"flux_{band}" for band in BANDS}
    columns |= {f"magerr_{band}": f"error_{band}" for band in BANDS}
    galaxies = Survey.from_table(
        real_galaxies.real_galaxies().iloc[:1000],
        columns,
        unit="nanomaggy",
        total=True,
        dereddened=False,
    )
    nearby = (galaxies.redshift > 0.02) & (galaxies.redshift < 0.2)
    galaxies = galaxies.select(np.flatnonzero(nearby))
    reference = real_galaxies.kcorrect_estimates(galaxies)
    model = Posterior.load("photometry_redshift")
    flags = model.out_of_range(galaxies.magnitudes, redshift=galaxies.redshift)
    blue = real_galaxies.is_blue(reference["absolute_r"], reference["g_r"])
    rows = np.flatnonzero(blue & ~flags["outside_range"].to_numpy())
    chosen = galaxies.select(rows)
    draws = model.sample(chosen.magnitudes, redshift=chosen.redshift, n_samples=50, steps=12)
    masses = draws[..., 0].median(1).values.numpy()
    compared = real_galaxies.compare_masses(masses, reference["log_stellar_mass"].to_numpy()[rows])
    assert abs(compared["bias"]) < 0.1
    assert compared["scatter"] < 0.1
    assert "independent estimates to better than 0.1 dex" in quoted


def test_all_published_models_know_star_forming_galaxies_only(quoted):
    knows = [Posterior.load(name).metadata["knows"] for name in published_names()]
    assert all("star-forming" in words for words in knows)
    assert "all published models know star-forming galaxies only" in quoted
