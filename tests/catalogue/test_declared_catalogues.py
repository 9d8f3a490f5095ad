"""Catalogues and the command for models of other bands and properties."""

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("dask")

from galcfm import Posterior, Survey
from galcfm.catalogue import command, infer_catalogue
from galcfm.properties import Property
from galcfm.survey import SurveyError

BANDS = ("g", "W1", "F200W")
PROPERTIES = (
    Property("log_m", "dex(Msun)", (5, 13)),
    Property("age", "Gyr", (0, 14)),
    Property("redshift", "1", (0, 2)),
)
TOLD = {"total": True, "dereddened": True}
FEW = {"n_samples": 8, "steps": 2, "progress": False}
N = 60


def galaxies(n: int = N, seed: int = 0) -> pd.DataFrame:
    """Properties that are linear in the magnitudes."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3))
    columns = {"object_id": [f"{seed}-{k}" for k in range(n)], "ra": 10.0, "dec": 5.0}
    columns |= {f"mag_{band}": 19 - k + 0.3 * latent[:, k] for k, band in enumerate(BANDS)}
    columns |= {f"magerr_{band}": 0.05 for band in BANDS}
    columns |= {"log_m": 10 + 0.3 * latent[:, 0], "age": 6 + latent[:, 1]}
    columns |= {"redshift": 0.5 + 0.05 * latent[:, 2], "age_err": 0.5}
    split = np.array(["train", "validation", "test"])[np.arange(n) % 3]
    return pd.DataFrame(columns | {"split": split})


def survey_of(frame: pd.DataFrame, **options) -> Survey:
    declared = {"unit": "AB", "bands": BANDS, "properties": PROPERTIES}
    return Survey.from_table(frame, **declared | TOLD | options)


def model_of(survey: Survey, **options) -> Posterior:
    torch.manual_seed(0)
    network = {"width": 8, "depth": 1}
    model = Posterior("magnitudes", network=network, declaration=survey.declaration, **options)
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    return model.eval()


@pytest.fixture(scope="module")
def survey() -> Survey:
    return survey_of(galaxies())


@pytest.fixture(scope="module")
def model(survey) -> Posterior:
    return model_of(survey)


def fluxes(frame: pd.DataFrame) -> pd.DataFrame:
    """The photometry of galaxies in nanomaggies with inverse variances, in another order."""
    table = frame[["object_id", "ra", "dec"]].copy()
    for band in BANDS[::-1]:
        table[f"flux_{band}"] = 10 ** (0.4 * (22.5 - frame[f"mag_{band}"]))
        error = np.log(10) / 2.5 * frame[f"magerr_{band}"] * table[f"flux_{band}"]
        table[f"ivar_{band}"] = error**-2
    return table


def test_rows_are_the_draws_of_the_model(survey, model, tmp_path):
    galaxies().iloc[:, ::-1].to_parquet(tmp_path / "a.parquet", row_group_size=7)
    made = infer_catalogue(
        model, tmp_path / "a.parquet", tmp_path / "of", unit="AB", n_draws=2, **TOLD, **FEW
    )
    found = made.table()
    theta = model.sample(
        survey.magnitudes, object_id=survey.object_id, n_samples=8, steps=2
    ).numpy()
    assert theta.shape == (N, 8, 3)
    for k, p in enumerate(PROPERTIES):
        assert found[f"{p.name}_mean"].to_numpy() == pytest.approx(theta[..., k].mean(1), abs=1e-5)
        kept = np.stack([draws[p.name] for draws in found["draws"]])
        assert kept == pytest.approx(theta[:, :2, k], abs=1e-5)
    assert {"cov_log_m_redshift", "photometry_outside"} <= set(found)
    # Labels of the source are not read, and its redshift is no input.
    assert not {"age", "redshift", "log_stellar_mass_mean"} & set(found)
    survey.save(tmp_path / "survey")
    again = infer_catalogue(model, tmp_path / "survey", tmp_path / "of survey", n_draws=2, **FEW)
    pd.testing.assert_frame_equal(again.table(), found)


def test_fluxes_give_the_same_as_magnitudes(tmp_path):
    frame = galaxies()
    model = model_of(survey_of(frame), use_magnitude_errors=True)
    frame.to_parquet(tmp_path / "a.parquet")
    fluxes(frame).to_parquet(tmp_path / "b.parquet")
    tables = []
    for name, unit in (("a", "AB"), ("b", "nanomaggy")):
        path, out = tmp_path / f"{name}.parquet", tmp_path / f"of {name}"
        tables.append(infer_catalogue(model, path, out, unit=unit, **TOLD, **FEW).table())
    for name in ("log_m_mean", "age_p84", "redshift_median"):
        assert tables[1][name].to_numpy() == pytest.approx(tables[0][name].to_numpy(), abs=1e-4)


def test_limits_and_gaps_of_other_bands(tmp_path):
    table = fluxes(galaxies())
    table.loc[1, "flux_W1"] = -1.0
    table.loc[2, "ivar_F200W"] = 0.0
    table.loc[3, ["ivar_g", "ivar_W1", "ivar_F200W"]] = 0.0
    frame = galaxies()
    frame.loc[2, "mag_g"] = np.nan
    survey = survey_of(frame, missing_bands=True)
    model = model_of(survey, use_magnitude_errors=True, missing_bands=True)
    table.to_parquet(tmp_path / "a.parquet")
    made = infer_catalogue(
        model, tmp_path / "a.parquet", tmp_path / "of", unit="nmgy", **TOLD, **FEW
    )
    assert made.rejected_rows()["reason"].tolist() == ["no band is measured"]
    # A limit of the survey is a missing band for a model without errors.
    told = {"bands": BANDS, "missing_bands": True, "unit": "nanomaggy"} | TOLD
    Survey.from_table(table, **told).save(tmp_path / "survey")
    plain = model_of(survey, missing_bands=True)
    made = infer_catalogue(plain, tmp_path / "survey", tmp_path / "of survey", **FEW)
    given = Survey.load(tmp_path / "survey").measured_magnitudes
    assert np.isnan(given[1]).tolist() == [False, True, False]
    expected = plain.sample(given, object_id=made.table()["object_id"], n_samples=8, steps=2)
    mean = expected.numpy()[..., 1].mean(1)
    assert made.table()["age_mean"].to_numpy() == pytest.approx(mean, abs=1e-5)


def test_a_source_without_the_bands_or_errors_is_refused(model, tmp_path):
    frame = galaxies()
    frame.to_parquet(tmp_path / "a.parquet")
    with_errors = model_of(survey_of(frame), use_magnitude_errors=True)

    def refused(words, model, table, **told):
        table.to_parquet(tmp_path / "b.parquet")
        told = {"unit": "AB"} | TOLD | told
        with pytest.raises(SurveyError, match=words):
            infer_catalogue(model, tmp_path / "b.parquet", tmp_path / "out", **told, **FEW)

    refused("has no mag_W1: map columns", model, frame.drop(columns="mag_W1"))
    refused(
        "has no magerr_g, magerr_W1, magerr_F200W, with which this model was trained",
        with_errors,
        frame.drop(columns=[f"magerr_{band}" for band in BANDS]),
    )
    refused("not for F200W: convert", model, frame.assign(ebv=0.1), dereddened=False)
    refused("not for W1, F200W: convert", model, frame, unit="Vega")
    refused("maps 'mag_u', which is not", model, frame, columns={"mag_u": "mag_g"})
    # The redshift is a property here; its column may still be kept in the result.
    made = infer_catalogue(
        model, tmp_path / "a.parquet", tmp_path / "out", unit="AB",
        columns={"redshift": "redshift"}, **TOLD, **FEW,
    )  # fmt: skip
    assert made.table()["redshift"].tolist() == frame["redshift"].tolist()


def test_the_command_trains_shows_and_infers(survey, tmp_path, capsys):
    survey.save(tmp_path / "survey")
    few = ["--recipe", "rehearsal", "--set", "width=8", "--set", "depth=1", "--quiet"]
    few += ["--set", "photometry_max_epochs=1"]
    # Without images, photometry is all that it trains.
    assert (
        command.main(["train", str(tmp_path / "survey"), "--out", str(tmp_path / "m"), *few]) == 0
    )
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["photometry"]
    model = str(tmp_path / "m" / "photometry")
    galaxies().to_csv(tmp_path / "a.csv", index=False)
    words = ["infer", str(tmp_path / "a.csv"), "--model", model, "--out", str(tmp_path / "of")]
    words += ["--unit", "AB", "--total", "--dereddened", "--samples", "4", "--quiet"]
    assert command.main(words) == 0
    for shown in ("survey", "m/photometry", "of"):
        assert command.main(["show", str(tmp_path / shown)]) == 0
    said = capsys.readouterr().out
    assert said.count('"name": "age"') >= 2
    assert '"F200W"' in said
    assert f"{N} of {N} galaxies inferred" in said


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("pictures", 2, "'pictures' is none of prior, photometry, image, NAME_embedding"),
        ("image_embedding", 1, "has no embedding for --models image_embedding: leave it out"),
    ],
)
def test_the_command_refuses_models_of_data_that_are_not_there(
    survey, tmp_path, capsys, name, code, words
):
    survey.save(tmp_path / "survey")
    call = ["train", str(tmp_path / "survey"), "--out", str(tmp_path / "m"), "--models", name]
    assert command.main(call) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
