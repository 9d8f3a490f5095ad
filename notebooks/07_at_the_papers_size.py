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
# Trained on {glue:text}`n_train:,.0f` simulated galaxies with all pixels of
# their cutouts, the image adds {glue:text}`gain_paper_size:.3f` ±
# {glue:text}`gain_paper_size_error:.3f` {term}`nat` to photometry,
# {glue:text}`times_small:.1f` times as much as with a ninth of the galaxies. The
# paper's own training recipe, on the same galaxies, costs the photometry model
# only {glue:text}`own_photometry:.3f` nat: it would not make a large gain by
# itself.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
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
results_paper = "published"  # the same for one training by the paper's recipe
recipe_paper = "paper"  # recipe of that training
max_epochs_paper = 5  # epochs of its image model
results_redshift = "published"  # the same for one training given the redshift
recipe_redshift = "quick"  # recipe of that training

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from myst_nb import glue

from galcfm import figures, runs
from galcfm.figures import tables
from studies import paper_scale, picture_worth
from studies.paper_scale.tables import beside_the_paper, histories, trainings

folder = runs.open_run("07_at_the_papers_size", globals())
plan = paper_scale.Plan.of(globals())
result = paper_scale.find(paper_scale.STUDY, results, folder, plan)
found = result.content
test, posteriors, shown, images = paper_scale.load_draws(result)
own_plan = plan.training_only(recipe_paper, max_epochs=max_epochs_paper)
own = paper_scale.find(
    paper_scale.PAPERS_RECIPE, results_paper, folder, own_plan
).content
given_plan = plan.training_only(recipe_redshift, use_redshift=True)
given = paper_scale.find(
    paper_scale.WITH_REDSHIFT, results_redshift, folder, given_plan
).content["gain"]
source = "simulated survey"
models = {name: found[name] for name in ("photometry", "image")}
per_galaxy = {
    metric: {name: test[f"{name}/{metric}/exact"] for name in models}
    for metric in ("delta_log_p", "d_kl")
}

# %% [markdown]
# ## The models
#
# The survey has the paper's 106,800 galaxies, cutouts of 128×128 pixels, and
# {glue:text}`n_shown:,.0f` test galaxies with {glue:text}`n_samples:,.0f`
# draws each in {glue:text}`n_steps:.0f` Runge-Kutta steps, as in the paper.
# The recipe is `tuned_cpu`, for machines without a GPU: a cosine learning
# rate, eight draws of noise and time per galaxy and step, averaged weights, an
# encoder with half the paper's channels, and an image model that starts from
# the photometry model.

# %% tags=["hide-input"]
trainings(found)

# %% [markdown]
# ## What the image adds
#
# On all {glue:text}`n_test:,.0f` test galaxies the gain is
# {glue:text}`gain_paper_size:.3f` ± {glue:text}`gain_paper_size_error:.3f` nat of
# exact log-density. It does not depend on the seed of the photometry model: over
# three trainings it changes by {glue:text}`gain_scatter:.5f` nat. The image model
# was trained once, so its own scatter is not included. On the first
# {glue:text}`n_shown:,.0f` galaxies, which have draws:

# %% tags=["hide-input"]
tables.comparison(found["comparison"])

# %% mystnb={"figure": {"caption": "Exact $\\Delta\\log p$ (left) and $D_\\mathrm{KL}$ (right) of the image model against the photometry model for each simulated test galaxy. Points above the diagonal gain from the image: three quarters of the galaxies by $\\Delta\\log p$, nine in ten by $D_\\mathrm{KL}$.", "name": "fig-scale-metrics"}, "image": {"alt": "Two scatter plots of image model against photometry model, one point per galaxy. On the left most points lie above the diagonal of equal log-density gain, on the right nearly all lie above that of equal divergence."}} tags=["hide-input"]
figures.model_comparison(
    per_galaxy["delta_log_p"], per_galaxy["d_kl"], source=source
)

# %% [markdown]
# For calibrated posteriors $\Delta\log p$ and $D_\mathrm{KL}$ have the same
# mean. Computed exactly, they differ by {glue:text}`gap_image:.2f` ±
# {glue:text}`gap_image_error:.2f` nat for the image model; by kernel densities
# the estimates alone pull them {glue:text}`gap_kde:.2f` nat apart.
#
# With the redshift as input to both models, and the recipe `quick`, the image adds
# {glue:text}`gain_redshift_paper_size:.3f` ±
# {glue:text}`gain_redshift_paper_size_error:.3f` nat.

# %% [markdown]
# ## Beside the paper
#
# The same quantities by kernel densities, as we assume the paper computed them:

# %% tags=["hide-input"]
beside_the_paper(found)

# %% [markdown]
# Here the image adds {glue:text}`gain_paper_size_kde:.3f` ±
# {glue:text}`gain_paper_size_kde_error:.3f` nat, in the paper 0.91 nat; it
# wins for {glue:text}`wins:.0f` % of the galaxies, in the paper for 81.5 %.
# {doc}`06_what_a_picture_is_worth` asks where the difference comes from,
# property by property.

# %% [markdown]
# ## Scaling relations and the dust–age plane

# %% mystnb={"figure": {"caption": "Three relations of simulated test galaxies: measured values (left), posterior means of the photometry model (middle) and of the image model (right), with the contours of the measured values dashed. Means scatter less, most clearly those of the photometry model.", "name": "fig-scale-relations"}, "image": {"alt": "Three rows of panels, one per plane: contours of the measured values, of the means of the photometry model and of the image model, with the measured contours dashed. Contours of the means are narrower, the photometry model's narrowest. Six numbered galaxies appear in all panels with their cutouts."}} tags=["hide-input"]
figures.scaling_relations(test, posteriors, images, source=source)

# %% [markdown]
# One draw per galaxy recovers slope and scatter of all three relations within
# two standard errors, with and without the image. Posterior means do not:
# their star formation rates scatter by {glue:text}`photometry_sfr_scatter:.2f`
# (photometry) and {glue:text}`image_sfr_scatter:.2f` dex (image) about the
# main sequence, the measured values by {glue:text}`measured_sfr_scatter:.2f`
# dex.
#
# Within a posterior from photometry $A_V$ and $D_n(4000)$ are anticorrelated:
# the median coefficient is {glue:text}`photometry_correlation:.2f` in absolute
# value. The image lowers it to {glue:text}`image_correlation:.2f`. On the two
# properties jointly it adds {glue:text}`dust_age:.3f` ±
# {glue:text}`dust_age_error:.3f` nat.

# %% mystnb={"figure": {"caption": "Dust attenuation against age indicator of simulated test galaxies: posterior means (above) and one draw per galaxy (below), over the measured values (dashed). Draws recover the measured plane.", "name": "fig-scale-dust-age"}, "image": {"alt": "Contours in the plane of age indicator and attenuation. Posterior means in the upper row are narrower than the dashed contours of the measured values, most so for the photometry model; draws in the lower row match them."}} tags=["hide-input"]
figures.dust_age(test, posteriors, source=source)

# %% mystnb={"figure": {"caption": "Three simulated test galaxies with all their draws: the plane of dust and age, and stellar mass, under the photometry model (filled orange) and the image model (blue lines), with the measured values (dashed). The number above each cutout is its gain in exact log-density.", "name": "fig-scale-galaxies"}, "image": {"alt": "Three rows, one per galaxy: its cutout, contours of both models in the plane of age and dust, and densities of the mass. Blue contours of the image model lie inside the orange ones or overlap them; dashed lines mark the measured values."}} tags=["hide-input"]
first = range(shown["image"].sizes["object_id"])
rise = per_galaxy["delta_log_p"]["image"]
rise = rise - per_galaxy["delta_log_p"]["photometry"]
chosen = {f"gain {rise.iloc[k]:+.2f} nat": k for k in first}
figures.galaxy_panels(
    test.iloc[first], shown, images[first], chosen, source=source
)

# %% [markdown]
# ## Calibration
#
# Central intervals from 5 % to 95 % of any property contain the measured value
# as often as they should to within {glue:text}`photometry_off:.3f`
# (photometry) and {glue:text}`image_off:.3f` (image), near the 0.03 that a
# thousand galaxies allow; {doc}`09_calibration` makes a stricter test.

# %% mystnb={"figure": {"caption": "Ranks of the measured values among the draws (top) and coverage of central intervals minus their level (bottom) on simulated test galaxies. Grey bands contain calibrated models in 95 % of cases; both models stay near them.", "name": "fig-scale-coverage"}, "image": {"alt": "Two rows of panels, one column per property: rank histograms above, coverage minus its level below. The lines of both models stay in or near the grey bands."}} tags=["hide-input"]
figures.calibration(test, posteriors, source=source)

# %% [markdown]
# ## The paper's own recipe
#
# The paper trains with a constant learning rate of 5·10⁻⁵, one draw of noise and
# time per galaxy and step, twice the channels, plain magnitudes, images that are
# not turned, and an image model that starts from random weights. We trained the
# photometry model in this way until it stopped early. The image model takes
# {glue:text}`own_minutes:.0f` minutes per epoch on two CPU cores and had a budget
# of {glue:text}`own_budget:.0f` epochs.

# %% tags=["hide-input"]
trainings(own)

# %% mystnb={"figure": {"caption": "Loss on training and validation galaxies of the simulated survey, by the paper's recipe. The photometry model (left) stops after ten epochs without progress; the loss of the image model still falls when its budget ends.", "name": "fig-scale-own-recipe"}, "image": {"alt": "Training and validation loss against the epoch: the photometry model flattens over some 180 epochs, the image model falls steeply through its five."}} tags=["hide-input"]
figures.training_curves(histories(own), source=source)

# %% [markdown]
# On all {glue:text}`n_test:,.0f` test galaxies the photometry model comes within
# {glue:text}`own_photometry:.3f` nat of the one above. The image model, when its
# budget ends, is {glue:text}`own_gain:.2f` ± {glue:text}`own_gain_error:.2f` nat
# *below* its photometry model, which shows only that the recipe needs a GPU; what
# it reaches in 200 epochs we do not know.
#
# If the paper's photometry model was trained as well as this, unequal training
# adds less than a tenth of a nat to the paper's gain.

# %% [markdown]
# ## What it costs
#
# On two CPU cores the image model was trained on about
# {glue:text}`images_per_second:.0f` images per second, validation included. It makes
# {glue:text}`n_samples:,.0f` draws of {glue:text}`galaxies_per_second:.1f` galaxies
# per second in {glue:text}`n_steps:.0f` steps. Twelve steps suffice and are eight times as fast
# ({doc}`17_surveys_past_one_machine`).

# %% [markdown]
# ## What to take away
#
# - With the paper's number of galaxies and pixels the image adds
#   {glue:text}`gain_paper_size:.3f` nat on the simulated survey, not 0.91 nat.
# - The paper's own recipe costs photometry too little to explain the
#   difference.
# - Draws recover the scaling relations and the dust–age plane; posterior means
#   do not.

# %% tags=["remove-cell"]
sampling, gain = found["sampling"], found["gain"]
training = found["image"]["training"]
epochs = training["settings"]["max_epochs"]
small = picture_worth.STUDY.read().content["rows"]["all"]["gain"]
by_kernels = found["comparison"]["delta_log_p"]["kde"]
pair = found["comparison"]["dust_age"]
of_image = histories(own).query("model == 'image'")
minutes = own["image"]["training"]["seconds"] / len(of_image) / 60
lost = gain["log_p_photometry"]["1"] - own["gain"]["log_p_photometry"]["1"]
gap = models["image"]["delta_log_p_minus_d_kl"]
plane = models["image"]["scaling_relations"]["log_stellar_mass/log_sfr"]
numbers = {
    "n_train": training["n_train"],
    "n_test": gain["n_test"],
    "n_shown": len(test),
    "n_samples": sampling["n_samples"],
    "n_steps": sampling["steps"],
    "gain_paper_size": gain["gain"],
    "gain_paper_size_error": gain["standard_error"],
    "gain_scatter": gain["spread_over_trainings"],
    "times_small": gain["gain"] / small,
    "gain_paper_size_kde": by_kernels["difference"],
    "gain_paper_size_kde_error": by_kernels["standard_error"],
    "gain_redshift_paper_size": given["gain"],
    "gain_redshift_paper_size_error": given["standard_error"],
    "wins": 100 * by_kernels["wins"]["win_rate"],
    "gap_image": gap["exact"]["difference"],
    "gap_image_error": gap["exact"]["standard_error"],
    "gap_kde": abs(gap["kde"]["difference"]),
    "dust_age": pair["difference"],
    "dust_age_error": pair["standard_error"],
    "measured_sfr_scatter": plane["truth"]["scatter"]["value"],
    "own_budget": len(of_image),
    "own_minutes": minutes,
    "own_photometry": lost,
    "own_gain": -own["gain"]["gain"],
    "own_gain_error": own["gain"]["standard_error"],
    "images_per_second": training["n_train"] * epochs / training["seconds"],
    "galaxies_per_second": sampling["image"]["galaxies_per_second"],
}
for name, of in models.items():
    numbers[f"{name}_correlation"] = -of["dust_age"]["correlation"]
    plane = of["scaling_relations"]["log_stellar_mass/log_sfr"]
    scatter = plane["posterior_mean"]["scatter"]["value"]
    numbers[f"{name}_sfr_scatter"] = scatter
    off = pd.DataFrame(of["coverage"]).set_index("levels")
    off = off.sub(off.index, axis=0).abs().to_numpy().max()
    numbers[f"{name}_off"] = off
for name, value in numbers.items():
    glue(name, float(value), display=False)

# %% [markdown]
# ## Exercises
#
# **Where does the image help?** By how much does $\Delta\log p$ rise with the
# image in each third of the redshifts?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
third = pd.qcut(test["redshift"], 3, labels=["near", "middle", "far"])
by_third = rise.groupby(third, observed=True).mean().round(3)
by_third.rename_axis(None).to_frame("mean gain [nat]")

# %% [markdown]
# **How long would ten million take?** With the speed above, how many days of this
# machine would 1,000 draws of ten million galaxies take?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
seconds = 1e7 / sampling["image"]["galaxies_per_second"]
print(f"{seconds / 86_400:,.0f} days; with twelve steps an eighth of them")

# %% [markdown]
# ## Make these results yourself
#
# With `results = "made"` this chapter simulates, trains and draws now, with
# the sizes of its parameters (with `"published"` they change nothing); at the
# sizes above that takes some hours without a GPU. A few minutes suffice for
#
# ```bash
# papermill notebooks/07_at_the_papers_size.ipynb out.ipynb -p results made \
#     -p recipe quick -p n_galaxies 2000 -p max_epochs 3 -p n_test 100 \
#     -p steps 24
# ```
