# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Other properties, bands and embeddings
#
# A survey declares its properties, bands and embeddings, and everything else
# follows: training, draws, exact densities, metrics and figures. A model trained
# on the features of our published image encoder, given as an embedding, differs
# from the image model itself by {glue:text}`embedded_gain:+.3f` ±
# {glue:text}`embedded_error:.3f` {term}`nat`. If O/H is missing for a whole class
# of galaxies, training on the complete galaxies alone costs
# {glue:text}`class_loss:.2f` nat for that class; training on what each galaxy
# has costs {glue:text}`class_chain_cost:.2f` nat.
#
# The two studies use simulated galaxies and are stored: the parameters of size
# change nothing unless `results = "made"` repeats them. The last section is about real galaxies of DESI
# {cite:p}`DESI2024`, which only the profile `desi` downloads.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper, sdss or desi
run = ""  # name of a rerun: data/runs/PROFILE-RUN
n_example = 1500  # simulated galaxies of the example
example_epochs = 20  # passes over them, at most
# Embedding and missing labels: "published", or "made" now as below
results = "published"
n_embedded = 100000  # simulated galaxies with image features
embedded_seed = 81  # seed of these galaxies
n_new = 10000  # further galaxies, for a test with a smaller error
new_seed = 91  # seed of these galaxies
training_sizes = [10000, 30000, 90000]  # of them, one training each
embedded_epochs = 20  # passes over them, at most
n_galaxies = 20000  # simulated galaxies with missing labels
galaxies_seed = 82  # seed of these galaxies
share = 0.3  # share of them that lacks the oxygen abundance
max_epochs = 40  # passes over them, at most
seeds = [1]  # seeds of the trainings with missing labels
n_draws = 50  # draws per galaxy, for the bias
processes = 2  # processes that render images
# Real galaxies: data set on the Hugging Face Hub, or a folder; empty: none
table = ""
n_table = 20000  # galaxies of this table; 0 for all
table_recipe = "quick"  # recipe of their models
table_epochs = 30  # passes over them, at most
n_tested = 1000  # test galaxies with draws
n_samples = 400  # draws of each of these
steps = 12  # Runge-Kutta steps of all draws and densities

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from galcfm import figures, runs
from galcfm.figures import tables
from galcfm.properties import PROPERTIES, Property
from galcfm.survey import Survey
from galcfm.survey.embeddings import Embeddings
from galcfm.training import RECIPES, train_models
from studies import declared, desi
from studies.declared.galaxies import example
from studies.desi import shown

folder = runs.open_run("18_declared_surveys", globals())
place = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A survey says what it has
#
# `own` is a table of simulated galaxies with magnitudes in $g$, $r$ and $z$,
# stellar mass, star formation rate (unknown for a third of the galaxies) and
# redshift. `shapes` has four numbers per galaxy that another program is
# supposed to have measured on the images.

# %%
own, shapes = example(n_example)
own.head(3)

# %% [markdown]
# Each property has a name, a unit and a plausible range; a property that a
# galaxy lacks is NaN. An embedding has the name of the model that made it, and
# a trained model refuses the embedding of another one.

# %%
mass, rate = PROPERTIES[:2]
survey = Survey.from_table(
    own,
    unit="AB",
    total=True,
    dereddened=True,
    bands="grz",
    properties=[mass, rate, Property("redshift", "1", (0, 1), symbol="z")],
    embeddings={"shapes": Embeddings(shapes, model="example 1")},
)
print(survey.declaration.property_names, survey.declaration.bands)
print(survey.declaration.embeddings)

# %% [markdown]
# Training, draws and exact densities take the declaration from the survey. The
# model `shapes_embedding` has the photometry and the embedding as input.

# %%
recipe = replace(RECIPES["smoke"], photometry_max_epochs=example_epochs)
models = train_models(
    survey,
    place / "models",
    recipe,
    ("photometry", "shapes_embedding"),
    progress=False,
)
test = survey.split("test")
posteriors = {
    name: model.infer(test, n_samples=200, steps=steps, progress=False)
    for name, model in models.items()
}
models["shapes_embedding"].architecture["label_blocks"]

# %% [markdown]
# Properties that are always known together form a *label block*: here mass and
# redshift, which all galaxies have, and then the star formation rate, given
# mass, redshift and the data. A galaxy trains the blocks that it has. Its
# posterior has all properties: the star formation rate is that of a galaxy for
# which it can be measured.

# %% mystnb={"figure": {"caption": "Posterior of one simulated galaxy in the properties that the example declares, from three magnitudes (orange areas), and with four numbers about its shape as an embedding (lines). Dashed: its labels.", "name": "fig-declared-example"}, "image": {"alt": "Corner plot of stellar mass, star formation rate and redshift of one galaxy under both models of the example: contours below the diagonal, smooth densities on it, and dashed lines at its labels."}} tags=["hide-input"]
known = test.catalogue["log_sfr"].notna().to_numpy()
figures.galaxy_corner(
    test.catalogue,
    posteriors,
    galaxy=int(known.argmax()),
    source="simulated survey",
)

# %% [markdown]
# ## An embedding in place of the image
#
# Does a model lose anything if it gets the features of an image encoder and not
# the image? We computed the 256 features $f_\mathrm{img}$ of the published image
# model for {glue:text}`n_embedded:,.0f` simulated galaxies that the model has
# never seen, declared them as an embedding, and trained a new flow on them and
# the photometry. The table gives the exact log-density of the measured
# properties under the new model minus that under the published image model,
# paired galaxy by galaxy. We chose the settings on the validation galaxies
# alone. The test galaxies left an error of a quarter of the difference, so we
# simulated {glue:text}`n_new:,.0f` new galaxies for a second test.

# %% tags=["hide-input"]
stored = declared.STUDY.result(results, folder, declared.Plan.of(globals()))
declared.embedding_table(stored.content)

# %% [markdown]
# With about as many galaxies as the published model had
# ({glue:text}`n_theirs:,.0f`), the new model differs from the image model by
# {glue:text}`embedded_gain:+.3f` ± {glue:text}`embedded_error:.3f` nat, a small
# part of what the image adds to the photometry ({doc}`07_at_the_papers_size`).
# With fewer galaxies the loss grows: the encoder is the same, and only the flow
# has less to learn from. Each row is one training; errors are those of the
# number of test galaxies.

# %% [markdown]
# ## Missing labels
#
# Abundances from emission lines exist for star-forming galaxies only. We
# removed the oxygen abundance from {glue:text}`share:.0f` % of the galaxies of
# another simulated survey, either *by class*, from those with the lowest
# specific star formation rate, or *at random*. One model is trained on all
# galaxies with the labels that each has, the other on the complete galaxies
# only. For the test galaxies we know all labels, so that
# we can score all five properties. Gains are relative to a model trained with
# nothing missing; bias is posterior mean minus measured value.

# %% tags=["hide-input", "full-width"]
declared.label_table(stored.content)

# %% tags=["remove-cell"]
content = stored.content
largest = max(content["embedding"].values(), key=lambda f: f["n_train"])
glue("embedded_gain", largest["new"]["gain"])
glue("embedded_error", largest["new"]["standard_error"])
glue("n_new", float(largest["new"]["n"]))
glue("n_theirs", float(content["n_train_of_image_model"]))
glue("n_embedded", float(content["plan"]["n_embedded"]))
glue("share", 100 * content["plan"]["share"])
labels = content["labels"]
for row in ("class_chain", "class_complete", "random_complete"):
    for group in ("having", "lacking"):
        glue(f"{row}_{group}", labels[row][group]["gain"]["gain"])
glue("class_chain_cost", -labels["class_chain"]["lacking"]["gain"]["gain"])
glue("class_loss", -labels["class_complete"]["lacking"]["gain"]["gain"])
print(stored.origin)

# %% [markdown]
# Where O/H is missing by class, the complete galaxies are the star-forming ones:
# a model trained on them alone takes every galaxy for one of these, and its
# log-density for the others falls by {glue:text}`class_loss:.2f` nat (it gains
# {glue:text}`class_complete_having:.2f` nat for the class that it assumes).
# Training on what each galaxy has changes it by
# {glue:text}`class_chain_lacking:+.3f` nat. That is little, although no training
# galaxy of this class has O/H: the simulation's relation of O/H with mass and
# star formation rate continues smoothly, and the model extrapolates it. In a real
# survey nothing in the data can tell whether it does. If labels are missing at
# random, the complete galaxies are a fair sample, only a smaller one
# ({glue:text}`random_complete_having:+.3f` nat). The groups are chosen by
# measured star formation rates, so that means have a bias in each even with
# nothing missing.
#
# ## Real galaxies of DESI
#
# The data set
# [EiffL/desi_x_ls_aion](https://huggingface.co/datasets/EiffL/desi_x_ls_aion)
# has about 96,000 galaxies of the Early Data Release of DESI
# {cite:p}`DESI2024`, with magnitudes of the Legacy Surveys in $g$, $r$ and $z$,
# properties of PROVABGS {cite:p}`HahnPROVABGS2023` and embeddings of image and
# spectrum by AION-1 {cite:p}`AION2025`. It takes 117 GB and is not part of
# this book.
#
# ```bash
# make book PROFILE=desi
# ```
#
# fetches as many of its files as {glue:text}`n_table:,.0f` galaxies need (about
# {glue:text}`gigabytes:.0f` GB, one file at a time), keeps the mean of each
# embedding over its tokens, and trains in minutes. A repeated call continues.
# A folder with these files can be given as `table`. All other chapters of that
# profile are those of the profile `quick`, on simulated galaxies: only this
# section shows real ones.
#
# - **Labels.** They are those of the best-fitting PROVABGS model, not
#   independent measurements: stellar mass, star formation rate averaged over the
#   last Gyr, mass-weighted metallicity (a mass fraction) and age. The card of
#   the data set gives neither units nor definitions; we took them from the code
#   that computes them. Rates and metallicities are used as logarithms; a rate
#   below $10^{-3}$ M$_\odot$/yr counts as a missing label. The redshift is the
#   fifth property.
# - **Same data twice.** PROVABGS fits the photometry and the spectrum of the same
#   galaxy. So the embedding of the spectrum can recover what the fit took from
#   the spectrum, errors included, and a high density says that labels are
#   predicted, not that they are true.
# - **Embeddings.** They have 768 features, the width of the base model of
#   AION-1; the card does not name the version. The mean over tokens loses where
#   in the image, or at which wavelength, a feature was.

# %% tags=["remove-input"]
found = desi.make(folder, desi.Plan.of(globals())) if table else None
display(Markdown(shown.words(found)))

# %% tags=["remove-input"]
left = found.survey.parameters["cuts"] if found else {}
pd.DataFrame({"galaxies left": left}) if found else None

# %% tags=["remove-input"]
tables.information(found.results) if found else None

# %% tags=["remove-input"]
shown.gains(found) if found else None

# %% mystnb={"figure": {"caption": "Test galaxies of DESI: model with the embedding of the image against photometry alone, with exact densities. Above the diagonal the embedding helps.", "name": "fig-desi-comparison"}, "image": {"alt": "Two scatter plots with one point per galaxy, exact \u0394log p on the left and D_KL on the right, of the model with the embedding of the image against the photometry model."}} tags=["remove-input"]
by_model = (
    {name: found.results[name]["galaxies"] for name in desi.MODELS[:2]}
    if found
    else {}
)
figures.model_comparison(
    {name: of["delta_log_p"]["exact"] for name, of in by_model.items()},
    {name: of["d_kl"]["exact"] for name, of in by_model.items()},
    source=found.source,
) if found else None

# %% mystnb={"figure": {"caption": "Posterior means of test galaxies of DESI against the values of PROVABGS, by model and property.", "name": "fig-desi-recovery"}, "image": {"alt": "Panels of posterior mean against PROVABGS value, one row per model and one column per property, with the line of equality."}} tags=["remove-input"]
figures.recovery(
    found.chosen.catalogue, found.posteriors, source=found.source
) if found else None

# %% mystnb={"figure": {"caption": "Calibration on test galaxies of DESI: ranks of the values of PROVABGS among the draws, and coverage of central intervals minus its nominal value. Bands: 95 % of what calibrated posteriors give.", "name": "fig-desi-calibration"}, "image": {"alt": "One column per property: histograms of ranks above and deviations of the coverage below, for each model, with grey bands around perfect calibration."}} tags=["remove-input"]
figures.calibration(
    found.chosen.catalogue, found.posteriors, source=found.source
) if found else None

# %% mystnb={"figure": {"caption": "Distributions of draws (solid) and of posterior means (dashed) minus that of the values of PROVABGS, at each percentile of the test galaxies of DESI.", "name": "fig-desi-population"}, "image": {"alt": "One panel per property: lines of draws near zero within a grey band, and dashed lines of posterior means that cross it, for each model."}} tags=["remove-input"]
figures.population_quantiles(
    found.chosen.catalogue, found.posteriors, source=found.source
) if found else None

# %% mystnb={"figure": {"caption": "Posterior of the test galaxy of DESI whose gain from the embedding of the spectrum is nearest the median. Dashed: values of PROVABGS and the redshift.", "name": "fig-desi-corner"}, "image": {"alt": "Corner plot of the five properties of one galaxy of DESI under the three models, with dashed lines at its labels."}} tags=["remove-input"]
figures.galaxy_corner(
    found.chosen.catalogue,
    found.posteriors,
    galaxy=shown.typical(found),
    source=found.source,
) if found else None

# %% tags=["remove-cell"]
glue("n_table", float(n_table))
glue("gigabytes", 117 * n_table / 96000)

# %% [markdown]
# ## What to take away
#
# - Declare properties, bands and embeddings once, in `Survey.from_table`; models,
#   metrics, figures and catalogues follow.
# - The features of a frozen encoder replace the image nearly without loss, if the
#   flow is trained on as many galaxies as the encoder was.
# - Never train on complete galaxies only when labels are missing by class.
