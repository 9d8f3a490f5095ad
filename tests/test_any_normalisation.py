"""What may come in any normalisation gives the same result in each."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.table import Table
from conftest import toy_survey
from hypothesis import given, settings
from hypothesis import strategies as st

import galcfm
from galcfm import Survey
from galcfm.posterior import ModelError, Posterior, redshift_quantiles
from galcfm.properties import MAGNITUDES
from galcfm.training.data import TrainingData
from galcfm.training.loop import TrainingError

GRID = np.linspace(0, 1, 101)
TOY = toy_survey(40, images=False)
MODEL = Posterior(network={"width": 8, "depth": 1})
MODEL.fit_standardisation(TOY.split("train"))


def scaled(values, power: int) -> np.ndarray:
    """Values times ten to a power, in two steps: one of them may be beyond float64."""
    return np.asarray(values) * 10.0 ** (power // 2) * 10.0 ** (power - power // 2)


def quantiles(power: int, shape: list[float]) -> np.ndarray:
    centre, width, floor = shape
    peak = np.exp(-0.5 * ((GRID - centre) / (0.02 + width)) ** 2) + 0.1 * floor
    return redshift_quantiles(GRID, [scaled(peak, power)], 25)


def weights(power: int, shape: list[float]) -> np.ndarray:
    relative = np.random.default_rng(0).uniform(size=len(TOY)) ** (1 + 4 * shape[0])
    data = TrainingData(MODEL, TOY, torch.device("cpu"), scaled(relative, power))
    return data.drawn(torch.Generator().manual_seed(1)).numpy()


def fluxes(power: int, shape: list[float]) -> np.ndarray:
    """Magnitudes of fluxes in a unit of ten to a power of jansky."""
    table = Table({name: TOY.catalogue[name].to_numpy() for name in ("object_id", "ra", "dec")})
    for name in MAGNITUDES:
        flux = 3631 * 10 ** (-0.4 * (TOY.catalogue[name].to_numpy() + shape[0]))
        table[name] = scaled(flux, power) * u.Unit(f"1e{-power} Jy")
    return Survey.from_table(table, unit="Jy", total=True, dereddened=True).magnitudes


# What is taken in any normalisation, by file of galcfm, function and argument.
TAKEN = {
    ("inputs.py", "redshift_quantiles", "density"): quantiles,
    ("data.py", "__init__", "weights"): weights,
    ("intake.py", "survey_of_table", "table"): fluxes,
}
# The same weights, handed on or checked.
HANDED_ON = {
    ("posterior_training.py", "train", "weights"),
    ("data.py", "checked_weights", "weights"),
}


def test_the_registry_holds_all_densities_and_weights():
    """Each argument of galcfm that is called so has its test here."""
    found = set()
    for path in Path(galcfm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
                named = names & {"density", "weights"}
                found |= {(path.name, node.name, name) for name in named}
    assert found - HANDED_ON == {key for key in TAKEN if key[2] != "table"}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=lambda taken: taken.__name__)
@settings(max_examples=200)
@given(power=st.integers(-300, 300), shape=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_scaling_leaves_the_result(taken, power, shape):
    np.testing.assert_allclose(taken(power, shape), taken(0, shape), rtol=1e-9)


def test_tiny_densities_have_the_quantiles_of_a_box():
    found = redshift_quantiles([0, 0.1, 0.2, 0.3], [[1e-170] * 4, [1e308] * 4, [5e-324] * 4], 2)
    np.testing.assert_allclose(found, [[0.075, 0.225]] * 3)


@pytest.mark.parametrize("lowest", [-740, -700, 0, 709])
def test_the_exponential_of_a_log_density_ascends(lowest):
    peak = np.exp(lowest - 0.5 * ((GRID - 0.4) / 0.05) ** 2)
    (found,) = redshift_quantiles(GRID, [peak], 500)
    assert (np.diff(found) > 0).all()
    assert found.mean() == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize(
    ("grid", "density"),
    [
        ([0.1, 0.2], [0.0, 0.0]),
        ([0.1, 0.2], [np.nan, 1.0]),
        ([0.1, 0.2], [-1e-320, 1.0]),
        ([0.1, 0.2], [np.inf, 1.0]),
        ([0.1, np.inf], [1.0, 1.0]),
        ([np.nan, 0.2], [1.0, 1.0]),
        ([0.2, 0.2], [1.0, 1.0]),
    ],
)
def test_what_is_no_density_is_refused(grid, density):
    with pytest.raises(ModelError, match=r"no grid|row 0: a density is negative"):
        redshift_quantiles(grid, [density], 4)


def test_weights_of_zero_alone_are_refused():
    with pytest.raises(TrainingError, match="all weights of a split are zero"):
        TrainingData(MODEL, TOY, torch.device("cpu"), np.zeros(len(TOY)))
