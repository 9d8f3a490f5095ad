"""Real galaxies of DESI with properties of PROVABGS and embeddings of AION-1.

The table is not part of the book: the profile `desi` downloads it. From photometry in g, r and z
alone, with the embedding of the image, and with that of the spectrum, models infer five properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galcfm import metrics, stored_posteriors
from galcfm.properties import Property
from galcfm.provenance import digest
from galcfm.survey import Survey
from galcfm.survey.embeddings import Embeddings
from galcfm.training import Recipe, train_models
from studies import frame
from studies.desi.table import EMBEDDINGS, IDENTIFIER, NUMBERS, read_table
from studies.frame import rows_of

PROPERTIES: Mapping[str, Property] = rows_of(Property, Path(__file__).with_name("properties.yaml"))
BANDS = "grz"
ENCODER = "AION-1, mean over tokens"
FITTED = ("log_stellar_mass", "log_metallicity", "stellar_age")
MODELS = ("photometry", "image_embedding", "spectrum_embedding")
LOWEST_RATE = 1e-3  # Msun/yr
# Below, peculiar velocities change distances; above, the emulator of PROVABGS was not trained.
REDSHIFTS = (0.01, 0.6)


@dataclass(frozen=True)
class Plan(frame.Plan):
    """The table, and what is trained and drawn.

    Arguments:
        table: `"owner/name"` of the data set on the Hugging Face Hub, or a local folder or file
            with the same columns.
        n_table: Number of galaxies of the table; 0 for all.
        table_recipe: Name of a recipe in `galcfm.training.RECIPES`.
        table_epochs: Largest number of epochs of the models with photometry.
        n_tested: Number of test galaxies with draws.
        n_samples: Draws per galaxy.
        steps: Runge-Kutta steps of draws and densities.
    """

    table: str = ""
    n_table: int = 20_000
    table_recipe: str = "quick"
    table_epochs: int = 30
    n_tested: int = 1000
    n_samples: int = 400
    steps: int = 12


@dataclass(frozen=True)
class Found:
    """Survey, models and results of real galaxies.

    Arguments:
        survey: The survey.
        posteriors: Draws of the first test galaxies by model.
        densities: Exact log-densities of all test galaxies by model.
        source: Name of the table in figures.
    """

    survey: Survey
    posteriors: Mapping
    densities: Mapping[str, metrics.LogDensities]
    source: str

    @cached_property
    def chosen(self) -> Survey:
        """The test galaxies with draws."""
        n = self.posteriors["photometry"].sizes["object_id"]
        return self.survey.split("test").select(np.arange(n))

    @cached_property
    def results(self) -> dict[str, dict]:
        """The metrics of each model."""
        known, prior = self.chosen.properties, self.survey.split("train").properties
        test, found = self.survey.split("test").properties, {}
        for name, dataset in self.posteriors.items():
            samples, exact = stored_posteriors.samples_array(dataset), self.densities[name]
            kde_prior = metrics.with_kde_prior(exact, samples, test, prior)
            densities = {"exact": exact, "exact_kde_prior": kde_prior}
            names = tuple(PROPERTIES)
            found[name] = metrics.evaluate(samples, known, prior, densities, properties=names)
        return found


def make(run: Path, plan: Plan) -> Found:
    """Fetch the table, train, draw and evaluate what is not in the run's folder yet.

    Arguments:
        run: Folder of the run, of `galcfm.runs.open_run`.
        plan: The table, and what is trained and drawn.
    """
    folder = run / "studies" / f"desi-{digest(plan.settings)}"
    if not (folder / "survey" / "survey.json").exists():
        survey_of(read_table(plan.table, plan.n_table)).save(folder / "survey")
    survey = Survey.load(folder / "survey")
    recipe = Recipe.of({"recipe": plan.table_recipe, "photometry_max_epochs": plan.table_epochs})
    models = train_models(survey, folder, recipe, ("prior", *MODELS))
    prior, test = models.pop("prior"), survey.split("test")
    draws = {name: folder / f"posteriors_{name}.nc" for name in models}
    path = folder / "densities.npz"
    if not path.exists():
        chosen = test.select(np.arange(min(plan.n_tested, len(test))))
        options = {
            "n_kl": plan.n_tested // 5,
            "n_kl_samples": plan.n_samples // 8,
            "steps": plan.steps,
        }
        densities = {}
        for name, model in models.items():
            dataset = model.infer(chosen, n_samples=plan.n_samples, steps=plan.steps)
            stored_posteriors.save_posteriors(dataset, draws[name])
            found = stored_posteriors.exact_log_densities(model, prior, test, **options)
            densities[name] = found
        stored_posteriors.save_densities(densities, path)
    posteriors = {name: stored_posteriors.load_posteriors(of) for name, of in draws.items()}
    densities = stored_posteriors.load_densities(path)
    return Found(survey, posteriors, densities, Path(plan.table).name)


def survey_of(table: pa.Table) -> Survey:
    """Return the survey of a table: three bands, five properties and two embeddings.

    Arguments:
        table: Table of `studies.desi.table.read_table`.
    """
    catalogue, cuts = selected(table)
    embeddings = {}
    for column in EMBEDDINGS:
        vectors = table[column].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        name = column.removeprefix("embedding_")
        embeddings[name] = Embeddings(vectors[catalogue.index], model=ENCODER)
    declared = {"bands": BANDS, "properties": list(PROPERTIES.values()), "embeddings": embeddings}
    survey = Survey.from_table(catalogue, unit="AB", total=True, dereddened=True, **declared)
    survey.parameters["cuts"] = cuts
    return survey


def selected(table: pa.Table) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the galaxies that pass the cuts with the columns of a survey, and numbers left.

    Arguments:
        table: Table of `studies.desi.table.read_table`.
    """
    given = table.select([IDENTIFIER, *NUMBERS]).to_pandas()
    given.columns = given.columns.str.removesuffix("_provabgs")
    rate, metals = given["AVG_SFR"], given["Z_MW"]
    catalogue = given[["object_id", "ra", "dec"]].assign(
        redshift=given["Z_HP"],
        **{f"mag_{band}": given[f"MAG_{band.upper()}"] for band in BANDS},
        log_stellar_mass=given["LOG_MSTAR"].where(given["LOG_MSTAR"] > 0),
        log_sfr=np.log10(rate.where(rate >= LOWEST_RATE)),
        log_metallicity=np.log10(metals.where(metals > 0)),
        stellar_age=given["TAGE_MW"],
    )
    low, high = REDSHIFTS
    cuts = {
        f"{low} < z < {high}": catalogue["redshift"].between(low, high),
        "magnitudes in g, r, z": catalogue.filter(like="mag_").gt(0).all(axis=1),
        "a fit of PROVABGS": catalogue[list(FITTED)].notna().all(axis=1),
        "seen once": ~catalogue["object_id"].duplicated(),
    }
    good = pd.DataFrame(cuts).cumprod(axis=1).astype(bool)
    return catalogue[good.iloc[:, -1]], {"in the table": len(table)} | good.sum().to_dict()
