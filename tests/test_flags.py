"""Whatever returns posteriors says which galaxies its model does not know."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.table import Table
from conftest import toy_survey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import galcfm
from galcfm import Posterior, stored_posteriors
from galcfm.catalogue import command, infer_catalogue
from galcfm.posterior.summaries import SUMMARY_FORMATS, save_summaries, summarise
from galcfm.posterior.training_range import (
    QUIESCENT,
    UNKNOWN,
    QuiescentClass,
    known_galaxies,
    photometry_of,
)
from galcfm.properties import MAGNITUDES

# What draws in galcfm, by file and function: the names of its doors below, or why it has none.
DRAWS = {
    ("model.py", "sample"): "bare draws, without a place for a flag: its docstring names one",
    ("model.py", "sample_from"): "as sample",
    ("model.py", "sample_with_log_prob"): "as sample",
    ("model.py", "infer"): ["infer", "stored", *SUMMARY_FORMATS],
    ("summaries.py", "summarise"): ["infer_catalogue", "show"],
    ("hub.py", "measure"): "shares over galaxies like those of the training",
}


@pytest.fixture(scope="module")
def known():
    """A model with its range, galaxies of which every second is strange, and which are."""
    torch.manual_seed(0)
    galaxies = toy_survey(400, seed=5, images=False)
    model = Posterior(network={"width": 8, "depth": 1})
    model.fit_standardisation(galaxies.split("train"))
    model.fit_range(galaxies.split("train"), galaxies.split("validation"))
    test = galaxies.split("test").select(np.arange(12))
    test.catalogue.loc[::2, "mag_u"] += 4
    flags = model.out_of_range(test.magnitudes)["outside_range"].to_numpy()
    assert flags[::2].all()
    assert not flags.all()
    return model.eval(), test, flags


def through(door: str, model, test, folder: Path) -> np.ndarray:
    """Return the flags of galaxies that come through a door."""
    if door in ("infer_catalogue", "show"):
        model.save(folder / "model")
        table = test.catalogue[["object_id", "ra", "dec", *MAGNITUDES]]
        table.to_parquet(folder / "g.parquet", index=False)
        told = {"unit": "AB", "total": True, "dereddened": True}
        options = {"n_samples": 4, "steps": 2, "progress": False}
        paths = folder / "model", folder / "g.parquet", folder / "out"
        made = infer_catalogue(*paths, **told, **options)
        return (
            pd.read_parquet(made.folder / "dataset")
            .set_index("object_id")["outside_range"][test.object_id]
            .to_numpy()
        )
    posteriors = model.infer(test, n_samples=4, steps=2, progress=False)
    if door == "stored":
        stored_posteriors.save_posteriors(posteriors, folder / "p.nc")
        posteriors = stored_posteriors.load_posteriors(folder / "p.nc")
    if door in SUMMARY_FORMATS:
        save_summaries(summarise(posteriors, test), folder / f"s{door}")
        options = {"format": SUMMARY_FORMATS[door]}
        return np.asarray(Table.read(folder / f"s{door}", **options)["outside_range"], bool)
    return posteriors["outside_range"].to_numpy()


DOORS = [door for doors in DRAWS.values() if isinstance(doors, list) for door in doors]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.filterwarnings("ignore")
def test_every_door_carries_the_flag(known, door, tmp_path, capsys):
    model, test, flags = known
    np.testing.assert_array_equal(through(door, model, test, tmp_path), flags)
    if door == "show":
        words = ["show", str(tmp_path / "out"), "--object", test.object_id[0]]
        assert command.main(words) == 0
        assert "outside_range" in capsys.readouterr().out


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 11), min_size=1, max_size=6, unique=True),
    st.lists(st.floats(-2, 2), min_size=5, max_size=5),
)
def test_a_flag_is_that_of_the_galaxy_alone(known, rows, shift):
    """Whatever the magnitudes are, and whichever galaxies come with them."""
    model, test, flags = known
    some = test.select(np.array(rows))
    some.catalogue[list(MAGNITUDES)] += np.array(shift) * np.arange(len(rows))[:, None]
    found = summarise(model.infer(some, n_samples=4, steps=1, progress=False))["outside_range"]
    alone = [model.out_of_range(m[None])["outside_range"].iloc[0] for m in some.magnitudes]
    np.testing.assert_array_equal(found, alone)
    assert alone[0] == flags[rows[0]]


def test_the_registry_holds_all_that_draws():
    found = set()
    for path in Path(galcfm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls = {x.attr for x in ast.walk(node) if isinstance(x, ast.Attribute)}
                if calls & {"sample_from", "sample_with_log_prob", "infer"}:
                    found.add((path.name, node.name))
    own = {("model.py", "sample_from"), ("model.py", "sample_with_log_prob")}
    stored = {key for key in found if key[0] == "stored_posteriors.py"}
    assert (
        found - stored - {("flow.py", name) for _, name in found} == set(DRAWS) - own | own & found
    )


# The second test, and what models say of themselves


def test_quiescent_galaxies_look_quiescent():
    """By a published model, and by a model of missing bands with and without u."""
    table = pd.read_parquet(QUIESCENT)
    for name in ("photometry", "photometry_redshift", "any_bands"):
        model = Posterior.load(name, "cpu")
        features = photometry_of(model, table)
        known = model.ranges["quiescent"]
        assert known.is_outside(known.share_farther(features)).mean() > 0.9
        assert known.is_outside(known.share_farther(known.held_out)).mean() < 0.012
    without_u = features.copy()
    without_u[:, [0, -5]] = np.nan
    assert known.is_outside(known.share_farther(without_u)).mean() > 0.5  # colours with u tell most
    without_u = known.held_out.copy()
    without_u[:, [0, -5]] = np.nan
    assert known.is_outside(known.share_farther(without_u)).mean() < 0.012


def test_the_class_is_fishers_direction():
    rng = np.random.default_rng(0)
    mixing = np.tril(np.ones((3, 3)))
    training, held_out = rng.normal(size=(2, 4000, 3)) @ mixing
    other = (rng.normal(size=(4000, 3)) + np.array([3, 0, 0])) @ mixing
    known = QuiescentClass.fit(training, held_out, other)
    # In the coordinates before mixing the classes differ by 3 sigma along the first axis alone.
    shares = known.share_farther(held_out)
    order = np.argsort(shares)
    first = (held_out @ np.linalg.inv(mixing))[:, 0]
    assert np.corrcoef(np.argsort(order), first)[0, 1] < -0.9
    assert np.quantile(shares, [0.01, 0.5]) == pytest.approx([0.01, 0.5], abs=0.005)
    found = known.is_outside(known.share_farther(other)).mean()
    assert found == pytest.approx(0.75, abs=0.05)  # of a normal 3 sigma away, beyond 2.33 sigma


def test_a_model_says_which_galaxies_it_knows(known):
    model, *_ = known
    assert model.metadata["knows"].startswith("Trained on star-forming galaxies (r < 17.")
    quiet = toy_survey(50, images=False)
    quiet.parameters["kind"] = "simulated"
    quiet.catalogue["log_sfr"] -= 2
    quiet.catalogue["redshift"] = np.nan
    assert known_galaxies(quiet).startswith("Trained on simulated galaxies (r < 17.")
    assert "z <" not in known_galaxies(quiet)
    assert "mean nothing" in UNKNOWN


def test_the_command_says_which_galaxies_a_model_knows(known, tmp_path, capsys):
    model, test, _ = known
    model.save(tmp_path / "model")
    columns = ["object_id", "ra", "dec", *MAGNITUDES]
    test.catalogue[columns].to_parquet(tmp_path / "g.parquet", index=False)
    words = [str(tmp_path / "g.parquet"), "--model", str(tmp_path / "model")]
    words += ["--out", str(tmp_path / "out"), "--samples", "4", "--steps", "2", "--quiet"]
    assert command.main(["infer", *words, "--unit", "AB", "--total", "--dereddened"]) == 0
    assert model.metadata["knows"] in capsys.readouterr().out
    assert command.main(["show", str(tmp_path / "model")]) == 0
    assert model.metadata["knows"] in capsys.readouterr().err


def test_a_model_that_knows_quiescent_galaxies_does_not_flag_them():
    quiet = toy_survey(100, images=False)
    quiet.catalogue["log_sfr"] -= 2
    model = Posterior(network={"width": 8, "depth": 1})
    model.fit_standardisation(quiet.split("train"))
    model.fit_range(quiet.split("train"), quiet.split("validation"))
    assert list(model.ranges) == ["photometry"]


@pytest.mark.parametrize("path", sorted(Path("data/published/models").glob("*/README.md")))
def test_published_cards_say_which_galaxies_the_model_knows(path):
    text = path.read_text(encoding="utf-8")
    assert "Trained on simulated star-forming galaxies (r < 17.77, 0.02 < z < 0.23)" in text
    assert re.search(r"`posterior.out_of_range` flags 9\d % of simulated quiescent galaxies", text)
