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
# # At the paper's size
#
# The chapters before this one are made by whoever builds the book, in minutes,
# from some thousand galaxies. Here is the paper's own size: 106,800 simulated
# galaxies, {glue:text}`n_train:,.0f` of them to train on, cutouts of 128×128
# pixels; and its evaluation, {glue:text}`n_shown:,.0f` test galaxies with
# {glue:text}`n_samples:,.0f` draws of each by {glue:text}`n_steps:.0f`
# Runge-Kutta steps. The recipe is the one that this book recommends where
# there is no GPU, `tuned_cpu`: that of the `quick` profile with all of the
# paper's pixels, and an image model of 20 epochs; its encoder has half the
# paper's channels.
#
# The results are stored: with `results = "published"` this chapter reads them.
# With `"made"` it simulates, trains and draws now, with the recipe, the numbers
# of galaxies and draws and the budgets of epochs that the parameters give, and
# shows the same tables and figures of what came out; at the sizes below, in some
# hours without a GPU. What is interrupted resumes with the same command. Minutes
# are enough for
#
# ```bash
# papermill notebooks/07_at_the_papers_size.ipynb out.ipynb -p results made \
#     -p recipe quick -p n_galaxies 2000 -p max_epochs 3 -p n_test 100 \
#     -p steps 24 -p product_size 1024
# ```

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in this run
recipe = "tuned_cpu"  # tuned, tuned_cpu, quick, paper or smoke
max_epochs: int = None  # of the image model; None: the recipe's; paper's: 200
use_redshift = False  # whether both models have the redshift as input
n_galaxies = 106_800  # as in the paper; a tenth of them test galaxies
seeds = [2, 3]  # of further photometry models
n_test = 1000  # test galaxies with posteriors, as in the paper
n_samples = 1000  # draws per galaxy, as in the paper
n_kept = 100  # draws per galaxy that are stored for the figures
n_kl_samples = 50  # draws per galaxy with exact densities
steps = 100  # Runge-Kutta steps, as in the paper
product_size = 8192  # rows of the matrices that measure the device's speed
throughput_images = 20_480  # images whose training is timed
results_paper = "published"  # the same for one training by the paper's recipe
recipe_paper = "paper"  # recipe of that training
max_epochs_paper = 5  # epochs of its image model
results_redshift = "published"  # the same for one training given the redshift
recipe_redshift = "quick"  # recipe of that training

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from IPython.display import display
from myst_nb import glue

from galcfm import figures, runs
from galcfm.figures import tables
from studies import paper_scale
from studies.paper_scale.tables import (
    beside_the_paper,
    costs,
    histories,
    trainings,
)

folder = runs.open_run("07_at_the_papers_size", globals())
plan = paper_scale.Plan.of(globals())
result = paper_scale.find(paper_scale.STUDY, results, folder, plan)
found = result.content
test, posteriors, shown, images = paper_scale.load_draws(result)
source = "simulated survey"
models = {name: found[name] for name in ("photometry", "image")}
per_galaxy = {
    metric: {name: test[f"{name}/{metric}/exact"] for name in models}
    for metric in ("delta_log_p", "d_kl")
}
print(result.origin)

# %% [markdown]
# ## How they were trained
#
# With AdamW, a learning rate that falls with half a cosine, several draws of
# noise and time for each galaxy and step, and weights averaged over the last
# steps. The image model starts from the flow of the photometry model. Times are
# those of one core of an AMD EPYC for the photometry and of two cores of an Intel
# Xeon for the image model.

# %%
trainings(found)

# %% [markdown]
# ## What the picture is worth
#
# On all {glue:text}`n_test:,.0f` test galaxies, the picture is worth
# {glue:text}`gain:.3f` ± {glue:text}`gain_error:.3f` nat of exact log-density
# over three photometry models that were trained with other seeds, among which it
# scatters by {glue:text}`gain_scatter:.5f` nat: no luck of a photometry training
# is in it. The image model was trained once. On the first
# {glue:text}`n_shown:,.0f` galaxies, relative to the prior:

# %%
tables.information(models)

# %%
tables.comparison(found["comparison"])

# %% [markdown]
# For a perfect posterior $\Delta\log p$ and $D_\mathrm{KL}$ have the same
# mean:

# %%
tables.calibration_gap(models)

# %% mystnb={"figure": {"caption": "Exact \u0394log p and D_KL of the image model against the photometry model, both trained at the paper's size, on simulated test galaxies. The diagonal is equality.", "name": "fig-scale-metrics"}, "image": {"alt": "Two scatter plots of image model against photometry model, a point a galaxy: exact \u0394log p on the left, exact D_KL on the right, each with the diagonal of equality, a cross at the means and the share of galaxies above the diagonal."}}
figures.model_comparison(
    per_galaxy["delta_log_p"], per_galaxy["d_kl"], source=source
)

# %% [markdown]
# ## Beside the paper
#
# The paper's tables and the same numbers of this survey, by kernel density
# estimates as the paper has them. The galaxies are not the same, so that only
# differences between two models, and their sign, can be held against each
# other. All signs are the paper's. The picture raises $\Delta\log p$ by
# {glue:text}`gain_kde:.2f` ± {glue:text}`gain_kde_error:.2f` nat, where the paper
# has 0.91. More galaxies and finer pixels do not close that gap;
# {doc}`06_what_a_picture_is_worth` asks what would.

# %%
beside_the_paper(found)

# %% [markdown]
# ## The population
#
# Posterior means are not a population: those of a perfect posterior spread less
# than the truth, and their Wasserstein distance to it is that of the second column.
# One draw per galaxy has the population's spread again.

# %%
tables.wasserstein(models)

# %% mystnb={"figure": {"caption": "Mass-metallicity, star formation rate-mass and star formation rate-metallicity planes of simulated test galaxies: measured values (left), posterior means from photometry (middle) and from photometry and image (right) of models trained at the paper's size, with the cutouts of the numbered galaxies.", "name": "fig-scale-relations"}, "image": {"alt": "Three rows of panels, one a plane: contours of the measured values on the left, of the posterior means of the photometry model in the middle and of the image model on the right, with the measured contours dashed beneath; six numbered galaxies stand in all panels, their cutouts beside them."}}
figures.scaling_relations(test, posteriors, images, source=source)

# %% [markdown]
# What the contours show, in numbers: the slope of a line and the scatter about
# it. Means of either model scatter too little, those of the image model less so;
# draws have the slopes and the scatter of the measured values within two standard
# errors.

# %% tags=["full-width"]
tables.scaling_relations(models)

# %% [markdown]
# ## Dust and age
#
# Dust reddens a galaxy as age does, so that photometry trades one for the other:
# within a posterior, $A_V$ and $D_n(4000)$ are correlated by
# {glue:text}`photometry_correlation:.2f` (median). The picture loosens this to
# {glue:text}`image_correlation:.2f`, and most of what it is worth,
# {glue:text}`dust_age:.2f` ± {glue:text}`dust_age_error:.2f` nat, are these two.

# %%
tables.dust_age(models, found["comparison"])

# %% mystnb={"figure": {"caption": "Dust attenuation against age indicator of simulated test galaxies, by models trained at the paper's size: posterior means (above) and one draw per galaxy (below), over the measured values (dashed).", "name": "fig-scale-dust-age"}, "image": {"alt": "Contours in the plane of Dn(4000) and A_V: posterior means above and one draw per galaxy below, for the photometry model on the left and the image model in the middle, over the dashed contours of the measured values; on the right the differences to these."}}
figures.dust_age(test, posteriors, source=source)

# %% [markdown]
# ## Single galaxies
#
# The first three test galaxies, with all their draws.

# %% mystnb={"image": {"alt": "Corner plot of the five properties of one test galaxy: histograms on the diagonal and contours below, photometry model in orange, image model in blue, lines at the measured values, and the cutout in the upper right."}}
first = range(shown["image"].sizes["object_id"])
for galaxy in first:
    figure = figures.galaxy_corner(
        test.iloc[first], shown, images[first], galaxy=galaxy, source=source
    )
    display(figure)

# %% [markdown]
# ## Can they be trusted?
#
# Of central intervals from 5 % to 95 %, of any property, the share that holds the
# truth is off by {glue:text}`photometry_off:.3f` at most with the photometry and
# {glue:text}`image_off:.3f` with the image model. Of a thousand galaxies, chance
# alone makes it up to 0.03 at one level (grey, for 95 %), and more at the worst of
# all of them; {doc}`09_calibration` tests this with more of them. The lines are
# jagged because a hundred draws of each galaxy are kept.

# %% mystnb={"figure": {"caption": "Calibration of models trained at the paper's size on simulated test galaxies: ranks of the truth among the draws (uniform if calibrated), and coverage of central intervals minus their level (on the zero line if calibrated).", "name": "fig-scale-coverage"}, "image": {"alt": "Two rows of panels, a column a property: histograms of the rank of the truth above, coverage less its nominal value below; both models as lines over the grey band in which calibrated models stay."}}
figures.calibration(test, posteriors, source=source)

# %%
tables.point_estimates(models)

# %% [markdown]
# ## The paper's own recipe
#
# All of the above is by this book's recipe. The paper's has a learning rate of
# 5·10⁻⁵ that never falls, one draw of noise and time for each galaxy and step, an
# encoder of twice the channels, images that are not turned, plain magnitudes, and
# an image model that starts from nothing. Its photometry model was given as many
# epochs as it wanted, up to 200; its image model, which takes two cores of an AMD
# EPYC {glue:text}`own_minutes:.0f` minutes an epoch, a budget of
# {glue:text}`own_budget:.0f`.

# %%
own_plan = plan.training_only(recipe_paper, max_epochs=max_epochs_paper)
by_paper = paper_scale.find(
    paper_scale.PAPERS_RECIPE, results_paper, folder, own_plan
)
own = by_paper.content
print(by_paper.origin)
trainings(own)

# %% mystnb={"figure": {"caption": "Loss on training and validation galaxies of the simulated survey, by the paper's recipe. The photometry model (left) ends where ten epochs have brought nothing, the image model where its budget does, while its loss falls.", "name": "fig-scale-own-recipe"}, "image": {"alt": "Training and validation loss against the epoch: of the photometry model over some 180 epochs, ever flatter, and of the image model over five, falling steeply."}}
curves = histories(own)
figures.training_curves(curves, source=source)

# %% [markdown]
# On the {glue:text}`n_test:,.0f` test galaxies, the photometry model comes to within
# {glue:text}`own_photometry:.3f` nat of that of this book's recipe, in three times its
# epochs. The image model, where its budget ends, is still
# {glue:text}`own_gain:.2f` ± {glue:text}`own_gain_error:.2f` nat *below* the photometry
# model. That says nothing of what the recipe is worth in the end, only that it wants a
# GPU. Where would 200 epochs lead? A power law of the epoch with a floor, through the
# first epochs of the photometry model's training, can be held against what it really
# reached.

# %%
of_photometry, of_image = (
    curves[curves["model"] == name] for name in ("photometry", "image")
)
n_epochs = len(of_photometry)
columns = ["loss", "standard_error"]
ahead = {
    n: paper_scale.extrapolated(of_photometry.head(n), n_epochs)
    for n in (5, 10, 20, 40)
    if n <= n_epochs
}
ahead = pd.DataFrame.from_dict(ahead, orient="index", columns=columns)
reached = of_photometry["validation_loss"].min()
print(f"reached in {n_epochs} epochs: {reached:.3f}; extrapolated:")
ahead.rename_axis("first epochs").round(3)

# %% [markdown]
# Five epochs tell nearly nothing, and twenty or forty err by many standard errors,
# which are those of the fit: the curve follows another law. With this in mind, the
# image model's {glue:text}`own_budget:.0f` epochs lead to
# {glue:text}`own_later:.2f` ± {glue:text}`own_later_error:.2f` after 200, which may be
# above or below where the photometry model ends.

# %% [markdown]
# ## What it costs
#
# Training is shown above; this is how fast the image model is trained, and both
# are drawn from.

# %%
costs(found).set_axis([f"recipe {recipe}"], axis=1)

# %% [markdown]
# ## With the redshift as input
#
# Where the redshift is known, both models can have it as input. The published
# model `image_redshift` is the image model of such a pair, trained with the recipe
# of the `quick` profile on this survey. With the redshift as input of both, the
# picture adds:

# %%
told_plan = plan.training_only(recipe_redshift, use_redshift=True)
with_redshift = paper_scale.find(
    paper_scale.WITH_REDSHIFT, results_redshift, folder, told_plan
)
print(with_redshift.origin)
told = with_redshift.content["gain"]
print(f"{told['gain']:.3f} ± {told['standard_error']:.3f} nat")

# %% tags=["remove-cell"]
sampling, gain = found["sampling"], found["gain"]
glue("own_budget", float(len(of_image)), display=False)
minutes = own["image"]["training"]["seconds"] / len(of_image) / 60
glue("own_minutes", float(minutes), display=False)
if len(of_image) >= paper_scale.FEWEST_EPOCHS:
    later = paper_scale.extrapolated(of_image, 200)
    glue("own_later", float(later["loss"]), display=False)
    glue("own_later_error", float(later["standard_error"]), display=False)
own_gain = own["gain"]
glue("own_gain", float(-own_gain["gain"]), display=False)
glue("own_gain_error", float(own_gain["standard_error"]), display=False)
lost = gain["log_p_photometry"]["1"] - own_gain["log_p_photometry"]["1"]
glue("own_photometry", float(lost), display=False)
glue("n_train", float(found["image"]["training"]["n_train"]), display=False)
glue("n_shown", float(len(test)), display=False)
glue("n_samples", float(sampling["n_samples"]), display=False)
glue("n_steps", float(sampling["steps"]), display=False)
glue("n_test", float(gain["n_test"]), display=False)
glue("gain", float(gain["gain"]), display=False)
glue("gain_error", float(gain["standard_error"]), display=False)
glue("gain_scatter", float(gain["spread_over_trainings"]), display=False)
by_kernels = found["comparison"]["delta_log_p"]["kde"]
glue("gain_kde", float(by_kernels["difference"]), display=False)
glue("gain_kde_error", float(by_kernels["standard_error"]), display=False)
dust_age = found["comparison"]["dust_age"]
glue("dust_age", float(dust_age["difference"]), display=False)
glue("dust_age_error", float(dust_age["standard_error"]), display=False)
for name, of in models.items():
    correlation = of["dust_age"]["correlation"]
    glue(f"{name}_correlation", float(correlation), display=False)
    off = pd.DataFrame(of["coverage"]).set_index("levels")
    off = off.sub(off.index, axis=0).abs().to_numpy().max()
    glue(f"{name}_off", float(off), display=False)

# %% [markdown]
# ## Exercises
#
# **Where does the picture win?** By how much does $\Delta\log p$ rise with the
# picture in each third of the redshifts?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rise = per_galaxy["delta_log_p"]["image"]
rise = rise - per_galaxy["delta_log_p"]["photometry"]
third = pd.qcut(test["redshift"], 3, labels=["near", "middle", "far"])
print(rise.groupby(third, observed=True).mean().round(3))

# %% [markdown]
# **How long would ten million take?** With the speeds above, how many days of
# this machine would 1,000 draws of ten million galaxies take, encoding of their
# pictures included?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
speeds = sampling["image"]
seconds = 1 / speeds["galaxies_per_second"]
seconds += 1 / speeds["encoding_galaxies_per_second"]
print(f"{1e7 * seconds / 86_400:,.0f} days")

# %% [markdown]
# <details><summary>And need it?</summary>
#
# Twelve Runge-Kutta steps draw as well as a hundred and are eight times as fast;
# {doc}`17_surveys_past_one_machine` has what comes after that.
#
# </details>
