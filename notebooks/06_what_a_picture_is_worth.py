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
# # What a picture is worth
#
# In the paper the image adds 0.91 {term}`nat` to the mean $\Delta\log p$. On our
# simulated survey it adds {glue:text}`gain_32px:.3f` ±
# {glue:text}`gain_32px_error:.3f` nat with {glue:text}`small_trained:,.0f` training
# galaxies and
# {glue:text}`gain_paper_size:.3f` ± {glue:text}`gain_paper_size_error:.3f` nat
# with as many as the paper's. Property by property, the paper's image adds
# {glue:text}`oxygen_missing:.2f` ± {glue:text}`oxygen_missing_error:.2f` nat more
# than ours to the oxygen abundance and {glue:text}`mass_missing:.2f` ±
# {glue:text}`mass_missing_error:.2f` nat more to the mass. Training by the
# paper's own recipe does not explain the difference.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in the run
rows = []  # names of studies.picture_worth.ROWS to make; [] for all
seeds = [1, 2, 3]  # one training of each model per seed
n_galaxies = 15500  # simulated galaxies of each row's survey
survey_seed = 1  # of the simulated galaxies
validation_fraction = 0.078  # share of galaxies
test_fraction = 0.332  # share of galaxies
recipe = "quick"  # of galcfm.training.RECIPES, but for the next four values
image_crop = 96  # central pixels of 0.4″ kept; the paper's 128
image_bin = 3  # pixels averaged per side; the paper's 1
photometry_max_epochs: int = None  # at most; None for the recipe's
max_epochs: int = None  # of the image model, at most; None for the recipe's
n_means = 2000  # test galaxies of posterior means
n_draws = 64  # draws per galaxy for these means
n_kernels = 1000  # test galaxies of kernel densities; the paper's 1,000
kernel_draws = 1000  # draws per galaxy for these; the paper's 1,000
processes = 2  # that render images
results_training_seeds = "published"  # or "made", for chapters 04 and 06
training_seeds = {"n_galaxies": 12000, "recipe": "quick"}  # its sizes

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import HTML
from myst_nb import glue

from galcfm import runs
from galcfm.figures.tables.words import SYMBOLS, with_error
from galcfm.metrics import wasserstein_gaussian
from galcfm.properties import PROPERTY_NAMES
from galcfm.stored_posteriors import samples_array
from studies import key_numbers, paper_scale, picture_worth
from studies import training_seeds as of_seeds
from studies.figures import half_width, mean_over_seeds
from studies.paper_scale.tables import PAPER
from studies.picture_worth import by_property, shown

folder = runs.open_run("06_what_a_picture_is_worth", globals())
plan = picture_worth.Plan.of(globals())
found = picture_worth.STUDY.result(
    results, folder, plan, rows=rows, seeds=seeds
)
row_of = found.content["rows"]
seeds_found = of_seeds.STUDY.result(
    results_training_seeds,
    folder,
    of_seeds.Plan(**training_seeds, processes=processes),
    seeds=seeds,
)
source = "simulated survey"
numbers = key_numbers.key_numbers()
gain_paper = numbers["gain_paper"]["gain"]

# %% [markdown]
# ## Why the numbers differ
#
# All gains but the paper's are of the simulated survey with all its relations.
# They differ in the galaxies that the models are trained and tested on, in
# pixels, in the training recipe, and in how densities are computed.

# %% tags=["hide-input"]
gain_table = key_numbers.table(numbers)
# The index shows it too, where it scrolls sideways on a phone.
box = '<div class="scrolls" tabindex="0" role="region" aria-label="Gains">'
glue("gain_table", HTML(f"{box}{gain_table.to_html()}</div>"), display=False)
gain_table

# %% [markdown]
# Errors include the scatter of the test galaxies and, where there are three
# trainings, that between trainings; intervals are then Student's $t$. At the
# paper's size the image model was trained once. Four differences explain most
# of the table:
#
# - **Length of training.** Twelve epochs give the image model less than the
#   recipe's schedule does. Forty more than close this gap
#   ({doc}`08_what_matters`).
# - **Number of galaxies.** Nine times as many, with as many more steps per
#   epoch, raise the gain ({doc}`07_at_the_papers_size`).
# - **Density.** {term}`Kernel <KDE>` and exact densities agree within their
#   errors in the *difference* of two models, though not in the level of
#   either. That the paper used kernel densities is our assumption.
# - **Redshift.** With the redshift as input to both models, photometry already
#   knows the distance, and the image adds less.

# %% [markdown]
# ## Which relations matter
#
# We start from an early version of our survey, in which only sizes, bulges and
# inclination-dependent dust were linked to the properties.

# %% mystnb={"figure": {"caption": "Gain of the image model over photometry in the simulated survey, in steps that each keep those before (exact densities; error bars are two standard errors). Green steps add to the gain, purple ones take from it. Hatched: what remains to the paper's gain, which is of real galaxies and, we assume, by kernel densities (dark).", "name": "fig-picture-worth"}, "image": {"alt": "Waterfall of horizontal bars. The early survey has about 0.15 nat, labels measured in the fibre raise it to about a third of a nat, all other relations lower it a little, and nine times the galaxies bring it to 0.4. More than half of the paper's 0.91 nat is hatched as not accounted for."}} tags=["hide-input"]
steps = {
    "early survey": "old",
    "labels measured in the fibre": "old_fibre",
    "all other relations": "all",
}
steps = {label: row_of[n] for label, n in steps.items() if n in row_of}
steps["nine times the galaxies, all pixels"] = numbers["gain_paper_size"]
shown.ladder(steps, gain_paper, source=source)

# %% [markdown]
# The only large step is the aperture of the labels. SDSS measures $D_n(4000)$,
# $12+\log(\mathrm{O/H})$ and $A_V$ in a {term}`fibre` of 3″. When the labels describe the
# centre of the galaxy and the magnitudes all of it, the image adds
# {glue:text}`gain_fibre:.2f` nat; when both describe the whole galaxy,
# {glue:text}`gain_first:.2f`. One explanation is that the image shows how
# concentrated the light is, for which grey images suffice
# ({doc}`08_what_matters`).
#
# The other relations together lower the gain to {glue:text}`gain_32px:.3f`
# nat; we suspect because they inform photometry, too. Each alone changes the
# gain of the early survey by at most {glue:text}`largest_relation:.2f` nat.

# %% mystnb={"figure": {"caption": "Gain of the image model over photometry in every experiment on the simulated survey, with 95 % intervals of three trainings each. Where the relations of the survey are not named, it has all of them. Fibre labels and noisier or Petrosian magnitudes raise the gain; the redshift as an input lowers it; no single relation changes it much.", "name": "fig-all-gains"}, "image": {"alt": "Points with error bars in five groups. Most gains lie between 0.1 and 0.4 nat. Those given the redshift are lowest, fibre labels and noisy magnitudes highest, the paper's training within 60 epochs is slightly below zero, and fourteen single relations all lie near 0.15 nat."}} tags=["hide-input"]
shown.all_gains(row_of, source=source)

# %% [markdown]
# The paper may have used the $A_V$ of the {term}`Balmer decrement` as label,
# and {term}`Petrosian` magnitudes as photometry. Together they give
# {glue:text}`gain_balmer:.2f` nat, close to our labels. Magnitudes with four
# times the noise give {glue:text}`gain_noise:.2f` nat: poor photometry alone
# does not explain the paper's gain.
#
# All relations were chosen before any of these gains was known. After the
# gains of two rows were known, skies, stars and colour gradients were adjusted
# to real cutouts alone ({doc}`12_is_the_survey_real`), and all rows were
# retrained.

# %% [markdown]
# ## Which properties the image informs
#
# The paper gives one number per property, the {term}`Wasserstein distance` $W$
# between the distribution of posterior means and that of the measured values.
# Means spread less than the galaxies, so if the posteriors are calibrated, $W$
# says which share $R^2$ of a property's variance the means explain, by
# equation {eq}`eq-perfect-distance` if all is Gaussian.
#
# Our properties are not Gaussian, so we simulate the relation: we observe the
# measured values with noise, compute exact posterior means, and find the noise
# at which 1,000 galaxies have the observed $W$. Two models that explain
# $R^2_\mathrm{phot}$ and $R^2_\mathrm{img}$ then differ by
#
# $$ \tfrac12 \ln \frac{1 - R^2_\mathrm{phot}}{1 - R^2_\mathrm{img}} $$
#
# nat in that property. Errors are the scatter of simulated test sets. For our
# own models we also measure the gain directly, as the difference of the
# marginal densities.

# %% tags=["hide-input"]
large = paper_scale.STUDY.read()
test, draws, *_ = paper_scale.load_draws(large)
measured = test[list(PROPERTY_NAMES)].to_numpy()
samples = {name: samples_array(of) for name, of in draws.items()}
models = by_property.MODELS
paper_w = {m: PAPER[m]["wasserstein"] for m in models}
our_w = {
    m: [
        of["posterior_mean"] for of in large.content[m]["wasserstein"].values()
    ]
    for m in models
}
in_paper = by_property.by_distance(measured, paper_w, 1000)
wider = by_property.by_distance(measured, paper_w, 1000, spread=1.25)
ours = by_property.by_distance(measured, our_w, len(measured))
direct = by_property.by_density(samples, measured)
chain = by_property.chained(samples, measured)
columns = {
    "paper, from W": in_paper,
    "paper, σ + 25 %": wider,
    "here, from W": ours,
    "here, directly": direct,
    "here, given those above": chain,
}
gains = pd.DataFrame(
    {
        name: [with_error(*row) for row in of[list(direct)].to_numpy()]
        for name, of in columns.items()
    },
    index=[SYMBOLS[p] for p in PROPERTY_NAMES],
)
gains.rename_axis("gain [nat]", axis=1)

# %% mystnb={"figure": {"caption": "Left: share of the variance of each property that posterior means explain, from the Wasserstein distances of the paper (SDSS, filled) and of our models at the paper's size (simulated, open). Right: the gain that these shares mean, with standard errors, and for our models the gain measured directly. The image constrains $12+\\log(\\mathrm{O/H})$ much more in the paper than in the simulation.", "name": "fig-by-property"}, "image": {"alt": "Two panels with the five properties as rows. For oxygen abundance photometry explains about the same share in both, but the image raises it by a fifth of the variance in the paper and by a twentieth in the simulation. Photometry explains less of the mass in the paper than here. For age the simulation gains more than the paper."}} tags=["hide-input"]
shown.properties(
    in_paper, ours, direct, source="SDSS (the paper) and simulated (this book)"
)

# %% [markdown]
# **Oxygen abundance is missing on the image's side.** Photometry explains
# {glue:text}`oxygen_paper_photometry:.2f` of its variance in the paper and
# {glue:text}`oxygen_here_photometry:.2f` here; with the image it is
# {glue:text}`oxygen_paper_image:.2f` and {glue:text}`oxygen_here_image:.2f`. We
# suspect that real images show more of the metallicity than our relations do:
# {cite:t}`WuBoada2019` predict it from images of real galaxies.
#
# **Mass may be missing on photometry's side.** Photometry explains
# {glue:text}`mass_paper_photometry:.2f` ±
# {glue:text}`mass_paper_photometry_error:.2f` of its variance in the paper and
# {glue:text}`mass_here_photometry:.2f` ± {glue:text}`mass_here_photometry_error:.2f`
# here, whereas both image models explain about as much. For $D_n(4000)$ our
# image adds *more* than the paper's.
#
# **How far this can be trusted.** For our models the route by $W$ gives
# {glue:text}`sum_w:.2f` nat in sum where direct measurement gives
# {glue:text}`sum_direct:.2f`; it is worst for mass. Over the
# {glue:text}`n_checked:.0f` experiments of the figure above, single gains by
# the two routes differ by {glue:text}`route_scatter:.2f` nat (rms) in mass and
# by {glue:text}`route_scatter_others:.2f` nat or less in the other properties.
# For the paper we assume calibrated posteriors and the distribution of our
# measured values. A 25 % larger spread changes its gains little, except in
# $A_V$, where the paper's distances nearly exceed those of posteriors that
# know nothing: its values must spread more than ours.
#
# **Single gains do not add up to the joint one**, because properties are
# correlated. By the chain rule, each property given those above it and with
# posteriors taken as Gaussian, ours add up to {glue:text}`sum_chain:.2f` nat;
# the exact joint gain of the same 1,000 galaxies is
# {glue:text}`gain_of_shown:.2f` nat. In the paper the sum is
# {glue:text}`sum_paper:.2f` and the joint gain 0.91 nat.

# %% [markdown]
# ### The redshift, and how the image constrains mass
#
# Given the redshift, photometry alone explains
# {glue:text}`mass_told_photometry:.3f` of the variance of mass, far more than
# the image model without it ({glue:text}`mass_image:.3f`), and the image adds
# nothing to that: with it the share is {glue:text}`mass_told_image:.3f`, which
# is even a little less. So the image improves mass mainly by constraining
# distance.

# %% [markdown]
# ## What the information gain says
#
# The mean $\Delta\log p$ says how well the measured values are predicted,
# $D_\mathrm{KL}$ how much the posteriors *claim* to know. The level of both
# depends on the survey's population and label errors, so two surveys must be
# compared with that in mind.

# %% mystnb={"figure": {"caption": "Where the models stand: mean $\\Delta\\log p$ (left) and mean $D_\\mathrm{KL}$ (right) of the photometry and the image model, in the paper (SDSS) and on the simulated survey, all by kernel densities of 1,000 galaxies. The image models nearly agree in $\\Delta\\log p$, the photometry models in $D_\\mathrm{KL}$.", "name": "fig-standing"}, "image": {"alt": "Two panels of orange squares joined to blue circles. In the mean log-density gain the paper's photometry model is far below the others, while all image models nearly agree. In the divergence the photometry models of the paper and of this book agree, and the paper's image model is far above ours."}} tags=["hide-input"]
standing = {
    "the paper": {
        m: {k: PAPER[m][k][0] for k in ("delta_log_p", "d_kl")} for m in models
    },
    f"{numbers['gain_32px']['trained_on']:,} galaxies": {
        m: {
            "delta_log_p": mean_over_seeds(
                row_of["all" if "all" in row_of else next(iter(row_of))],
                m,
                "delta_log_p_kernels",
            )
        }
        for m in models
    },
    f"{numbers['gain_paper_size']['trained_on']:,} galaxies": {
        m: {
            k: large.content[m][k]["kde"]["mean"]
            for k in ("delta_log_p", "d_kl")
        }
        for m in models
    },
}
shown.standing(standing, source="SDSS (the paper) and simulated (this book)")

# %% [markdown]
# **By $\Delta\log p$ the image models agree and photometry differs.** Ours
# reach {glue:text}`image_delta_log_p:.2f` nat with the image, the paper's
# 2.17; with photometry {glue:text}`photometry_delta_log_p:.2f` and 1.26. This
# suggests a weak photometry model in the paper.
#
# **By $D_\mathrm{KL}$ photometry agrees and the image models differ.** The
# photometry models claim {glue:text}`photometry_d_kl:.2f` nat here and 2.55 in
# the paper, the image models {glue:text}`image_d_kl:.2f` and 3.41. This
# suggests more informative images.
#
# The two readings would agree if something lowered $\Delta\log p$ of *both* of
# the paper's models alike and left $D_\mathrm{KL}$ as it is. Kernel estimates
# of calibrated posteriors put $\Delta\log p$ below $D_\mathrm{KL}$ by
# {glue:text}`shortfall_photometry:.2f` nat for photometry here and
# {glue:text}`shortfall_image:.2f` with the image. In the paper it is 1.29 and
# 1.24, about half a nat more in each. Label outliers, a few measured values
# far from anything the data suggest, would do this. They would also explain
# why single $\Delta\log p$ scatter by 3.3 to 4.0 nat in the paper and by
# {glue:text}`image_scatter:.1f` to {glue:text}`photometry_scatter:.1f` here.
# Overconfident posteriors are another explanation. The published tables cannot
# distinguish the two.

# %% [markdown]
# ## What is explained, and what is not
#
# With the paper's number of galaxies our gain rises to
# {glue:text}`gain_paper_size:.3f` nat. The other {glue:text}`missing:.2f` nat
# are not explained.
#
# *Unequal training is not the answer.* At the paper's size its own recipe
# costs the photometry model only {glue:text}`own_photometry:.3f` nat
# ({doc}`07_at_the_papers_size`), so it would add no more than that to the
# gain. With few galaxies the recipe fails: within 60 epochs of
# {glue:text}`small_trained:,.0f` galaxies its image model ends
# {glue:text}`below_photometry:.2f` nat below photometry.
#
# *The paper's own galaxies would decide.* With the profile `sdss`, train
# photometry until more epochs change nothing. If its $\Delta\log p$ stays near
# 1.26 nat and one label in a few dozen is an outlier, the labels explain the
# level and the gain is the image's. If it rises towards
# {glue:text}`photometry_delta_log_p:.2f` nat, it was the training.

# %% [markdown]
# ## Galaxies in each experiment
#
# | survey | training | test | used in |
# |---|---|---|---|
# | profile `quick` | {glue:text}`quick_trained:,.0f` | {glue:text}`quick_tested:,.0f` | chapters 01–05, 09–11 |
# | studies of variants | {glue:text}`small_trained:,.0f` | {glue:text}`small_tested:,.0f` | chapters 06, 08, 14 |
# | the paper's size | {glue:text}`large_trained:,.0f` | {glue:text}`large_tested:,.0f` | chapter 07; 1,000 of the test galaxies with draws |
# | the paper (SDSS) | 85,440 | 1,000 | |
#
# Trained three times, the models of `quick` gain {glue:text}`seed_1:.3f`,
# {glue:text}`seed_2:.3f` and {glue:text}`seed_3:.3f` nat.

# %% [markdown]
# ## What to take away
#
# - On our simulated survey at the paper's size the image adds less than half
#   of the paper's 0.91 nat.
# - The difference is mostly in the oxygen abundance, which our simulated
#   images hardly inform, and perhaps in photometric masses.
# - Fibre labels are the one relation that changes the gain much; unequal training
#   cannot explain the rest, and label outliers may explain the level of the
#   paper's $\Delta\log p$.

# %% tags=["remove-cell"]
for key, of in numbers.items():
    glue(key, float(of["gain"]), display=False)
    glue(f"{key}_error", float(of["standard_error"]), display=False)
    if np.isfinite(of["standard_error"]):
        glue(f"{key}_half_width", half_width(of), display=False)
short = {p: p.partition("_")[0] for p in PROPERTY_NAMES}
short["log_stellar_mass"] = "mass"
for p, name in short.items():
    gap = in_paper.loc[p] - ours.loc[p]
    glue(f"{name}_missing", float(gap["gain"]), display=False)
    errors = [of.loc[p, "standard_error"] for of in (in_paper, ours)]
    glue(f"{name}_missing_error", float(np.hypot(*errors)), display=False)
    for where, of in (("paper", in_paper), ("here", ours)):
        for what in ("photometry", "image"):
            for error in ("", "_error"):
                value = float(of.loc[p, f"{what}{error}"])
                glue(f"{name}_{where}_{what}{error}", value, display=False)
for name, of in (
    ("sum_w", ours),
    ("sum_direct", direct),
    ("sum_chain", chain),
    ("sum_paper", in_paper),
):
    glue(name, float(of["gain"].sum()), display=False)
exact = test["image/delta_log_p/exact"] - test["photometry/delta_log_p/exact"]
glue("gain_of_shown", float(exact.mean()), display=False)
for name in models:
    for metric in ("delta_log_p", "d_kl"):
        of = large.content[name][metric]["kde"]
        glue(f"{name}_{metric}", float(of["mean"]), display=False)
        if metric == "delta_log_p":
            glue(f"{name}_scatter", float(of["std"]), display=False)
    gap = large.content[name]["delta_log_p_minus_d_kl"]["kde"]["difference"]
    glue(f"shortfall_{name}", float(-gap), display=False)
by_own = paper_scale.PAPERS_RECIPE.read().content["gain"]["log_p_photometry"]
best = large.content["gain"]["log_p_photometry"]
glue("own_photometry", float(best["1"] - by_own["1"]), display=False)
glue(
    "missing",
    float(gain_paper - numbers["gain_paper_size"]["gain"]),
    display=False,
)
for name, key in (
    ("quick", "gain_quick_exact"),
    ("small", "gain_32px"),
    ("large", "gain_paper_size"),
):
    for what in ("trained", "tested"):
        glue(f"{name}_{what}", float(numbers[key][f"{what}_on"]))
for seed, value in seeds_found.content["gain_of_seeds"].items():
    glue(f"seed_{seed}", float(value), display=False)
for name, row in (
    ("gain_first", "old"),
    ("gain_fibre", "old_fibre"),
    ("gain_balmer", "balmer_petrosian"),
    ("gain_noise", "noise_4"),
):
    if row in row_of:
        glue(name, float(row_of[row]["gain"]), display=False)
if "paper_training" in row_of:
    below = -row_of["paper_training"]["gain"]
    glue("below_photometry", float(below), display=False)
relations = [row for name, row in row_of.items() if name.startswith("tie_")]
if relations and "old" in row_of:
    changes = [row["gain"] - row_of["old"]["gain"] for row in relations]
    glue("largest_relation", float(np.abs(changes).max()), display=False)
for name, row, model in (
    ("mass_image", "all", "image"),
    ("mass_told_photometry", "all_told", "photometry"),
    ("mass_told_image", "all_told", "image"),
):
    if row in row_of:
        explained = mean_over_seeds(row_of[row], model, "explained")
        glue(name, float(explained["log_stellar_mass"]), display=False)
differences = []
for k, p in enumerate(PROPERTY_NAMES):
    channel = by_property.Channel(measured[:, k] / measured[:, k].std(), 2000)
    for row in row_of.values():
        means = {
            m: [
                mean_over_seeds(row, m, what)[p]
                for what in ("explained", "wasserstein", "spread")
            ]
            for m in models
        }
        direct_gain = by_property.gaussian_gain(
            {m: of[0] for m, of in means.items()}
        )
        by_w = by_property.gaussian_gain(
            {m: channel.explained(of[1] / of[2]) for m, of in means.items()}
        )
        differences.append((p, by_w - direct_gain))
routes = pd.DataFrame(differences, columns=["property", "off"])
rms = (routes["off"] ** 2).groupby(routes["property"]).mean() ** 0.5
glue("n_checked", float(len(row_of)), display=False)
glue("route_scatter", float(rms["log_stellar_mass"]), display=False)
others = float(rms.drop("log_stellar_mass").max())
glue("route_scatter_others", others, display=False)

# %% [markdown]
# ## Exercises
#
# **The distance of a perfect posterior.** Derive equation
# {eq}`eq-perfect-distance`, and try it: properties of unit spread, of which
# posterior means explain a share $R^2 = 0.75$.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rng = np.random.default_rng(0)
mean = np.sqrt(0.75) * rng.standard_normal(100_000)
label = mean + np.sqrt(0.25) * rng.standard_normal(100_000)
distance = np.abs(np.sort(mean) - np.sort(label)).mean()
print(f"{distance:.4f}, by the formula {wasserstein_gaussian(1, 0.75):.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# In one dimension the distance is the mean gap of sorted values. Both
# distributions are Gaussian about the same mean, of widths $\sigma$ and
# $R\,\sigma$, so the gap is $\sigma (1 - R) |z|$, and
# $\mathrm{E}\,|z| = \sqrt{2/\pi}$.
#
# </details>
#
# **Pairs.** The gain's standard error is that of the difference galaxy by
# galaxy. How large would it be if the two models were tested on different
# galaxies? In five dimensions $\log p$ of a Gaussian posterior scatters by
# $\sqrt{5/2}$ nat about its mean from galaxy to galaxy.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
gain = row_of.get("all", next(iter(row_of.values())))
print(
    f"paired {gain['standard_error']:.3f} nat, "
    f"unpaired {np.sqrt(5 / 2 * 2 / gain['n_test']):.3f} nat at least"
)

# %% [markdown]
# ## Make these results yourself
#
# `papermill notebooks/06_what_a_picture_is_worth.ipynb out.ipynb -p results
# made -p n_galaxies 2000 -y "rows: [old, all]" -y "seeds: [1]"` trains two
# rows in a few minutes on two cores; without `results made` the sizes change
# nothing. A later call adds rows and seeds; the names of all rows are in
# `studies.picture_worth.ROWS`.
