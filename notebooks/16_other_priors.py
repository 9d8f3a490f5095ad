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
# # Other priors
#
# A posterior under another prior follows from weights on its draws, without
# training, if the new prior is not far from the old one. For a mass function
# steeper by 0.5, {glue:text}`steeper_share_words` of the draws of the image
# model still count, and the bias of its mean mass falls from
# {glue:text}`steeper_bias_old_image:.3f` to
# {glue:text}`steeper_bias_new_words` dex. For SFRs ten times lower, only
# {glue:text}`collapsed_share` of the draws count in the median, and a
# warning says so.
#
# A trained model assumes that each galaxy comes from the population that it was
# trained on. For another prior of the five properties, with everything else
# about a galaxy of given properties unchanged, each draw $\theta$ gets the
# weight
#
# $$ r(\theta) = p_\text{new}(\theta) \,/\, p_\text{old}(\theta). $$
#
# The {term}`effective sample size` $(\sum w)^2 / \sum w^2$
# {cite:p}`Kong1994` says how many of the draws still count.
#
# All galaxies are those of the run's test split. The three changes of the
# prior are parameters. The last section reads a stored fine-tuning, which
# parameters change only with `results = "made"`:
#
# ```bash
# papermill notebooks/16_other_priors.ipynb out.ipynb \
#   -p slope_change -1.0 -p results made -p burst_shift 0.3
# ```

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
slope_change = -0.5  # change of the slope of the blue mass function
abundance_change = -0.05  # change of O/H at given mass, dex
rate_change = -1.0  # change of log SFR at given mass, dex
results = "published"  # or "made": fine-tune now, as below
burst_shift = 0.15  # shift of the mean recent burst, dex
max_epochs = 15  # of the fine-tuning, at most
learning_rate = 0.0003  # of the fine-tuning

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import warnings

import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import paths, runs, stored_posteriors
from galcfm.figures.tables.words import number, with_error
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import RELATIONS
from galcfm.survey import Survey
from studies import exact, priors
from studies.priors import figures, weights

folder = runs.open_run("16_other_priors", globals())
galaxies = Survey.load(paths.survey_folder(survey))
train = galaxies.split("train")
samples = {
    name: stored_posteriors.samples_array(
        stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    )
    for name in ("photometry", "image")
}
n_draws = samples["image"].shape[1]
truth = galaxies.split("test").properties[: len(samples["image"])]
mass, metals = (
    PROPERTY_NAMES.index(name)
    for name in ("log_stellar_mass", "oxygen_abundance")
)

# %% [markdown]
# ## Two other populations
#
# *Another mass function*: the slope $\alpha$ of the blue galaxies changes by
# `slope_change`, here −0.5. *Other abundances*: the oxygen abundance at given
# mass changes by `abundance_change`, here −0.05 dex. For the second we need the
# mass–metallicity relation of the training sample, measurement errors included;
# we fit a parabola with constant scatter.
#
# Both priors are statements about *measured* properties, because these are
# what the models infer.

# %%
blue = next(r for r in RELATIONS if "mass functions" in r.name).coefficients
steeper = weights.schechter_ratio(
    new=(blue["log_m_star"], blue["blue_alpha"] + slope_change),
    old=(blue["log_m_star"], blue["blue_alpha"]),
)
poorer = weights.shifted_ratio(
    train.properties, "oxygen_abundance", "log_stellar_mass", abundance_change
)

# %% mystnb={"figure": {"caption": "Left: masses of the training galaxies, and of the population with a steeper mass function. Right: effective share of the posterior draws of each test galaxy under the steeper mass function. Nearly all draws count.", "name": "fig-other-prior"}, "image": {"alt": "On the left two histograms of stellar mass, the survey filled and the steeper mass function as an outline that is higher at low masses; on the right histograms of the effective share of the draws under both models, nearly all above 0.8."}} tags=["hide-input"]
effective = {
    name: weights.reweight(draws, steeper).effective_sample_size
    for name, draws in samples.items()
}
figures.other_prior(
    train.properties[:, mass],
    np.exp(steeper(train.properties)),
    effective,
    n_draws,
    names=("the survey", "other mass function"),
    source=galaxies.source,
)

# %% [markdown]
# ## Are the new posteriors right?
#
# A test needs no new galaxies: the known ones, each counted $r(\theta_*)$
# times, *are* the new population. Averaged over it, the posterior with the
# right prior must have the higher log-density at the measured values, and its
# means must not be biased (in the property whose prior has changed).

# %% tags=["hide-input"]
changed = {"other mass function": mass, "other abundances": metals}
ratios = {"other mass function": steeper, "other abundances": poorer}
gains = {
    (change, name): weights.reweighted_gain(draws, truth, ratio)
    for change, ratio in ratios.items()
    for name, draws in samples.items()
}
figures.gain_table(gains, changed)

# %% [markdown]
# The bias shrinks in all four cases and the log-density does not fall.
#
# ## Comparison with the exact posterior
#
# For four galaxies {doc}`10_exact_posteriors` keeps draws of the exact posterior
# and of the photometry model. The same weights on the exact draws show what the
# model's draws should become: means of $\log M_\star$ [dex] under the old prior
# and under the steeper mass function, with the error that the effective number
# of draws leaves. Both move by the same few hundredths of a dex.

# %% tags=["hide-input"]
exact_draws = pd.read_parquet(paths.published_folder() / exact.DRAWS)
moved = weights.shifted_means(
    exact_draws[exact_draws["posterior"].isin(["exact", "book"])],
    steeper,
    "log_stellar_mass",
).rename(columns={"exact": "exact posterior", "book": "photometry model"})
moved.round(3)

# %% [markdown]
# ## When weights collapse
#
# Galaxies whose SFRs at given mass are a tenth (`rate_change`) are rare in the
# training set, and no weight can replace them:

# %%
quenched = weights.shifted_ratio(
    train.properties, "log_sfr", "log_stellar_mass", rate_change
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    collapsed = weights.reweight(samples["photometry"], quenched)
for warning in caught:
    print(warning.message)
share = np.median(collapsed.effective_sample_size) / n_draws
print(f"median effective share of the draws: {share:.3f}")

# %% [markdown]
# ## A prior on what is not inferred
#
# Star formation histories are not among the five properties, so draws cannot
# be weighted by them; training galaxies can. We raised the mean burst of
# main-sequence galaxies by {glue:text}`bursts_shift` dex, trained the
# photometry model of the profile `quick` for a few more epochs with galaxies
# drawn by their weights, and compared both models on the test galaxies with
# the same weights.
#
# The weights move the posterior mean of $\log$ SFR by
# {glue:text}`bursts_moved:+.3f` dex, in the right direction: its bias goes
# from {glue:text}`bursts_before` to {glue:text}`bursts_after` dex. Neither
# bias exceeds two standard errors, and the mean log-density changes by
# {glue:text}`bursts_gain` nat: the {glue:text}`bursts_effective:.0f` effective
# of {glue:text}`bursts_n_test` test galaxies are too few to decide which
# prior serves them better.

# %% tags=["remove-cell"]
result = priors.STUDY.result(results, folder, priors.Plan.of(globals()))
stored = result.content
for change, short in (
    ("other mass function", "steeper"),
    ("other abundances", "poorer"),
):
    for name in samples:
        gain, k = gains[change, name], changed[change]
        quoted = {"gain": gain["gain"], "share": gain["effective_share"]}
        quoted |= {w: gain[w][k] for w in ("bias_old", "bias_new")}
        for what, value in quoted.items():
            glue(f"{short}_{what}_{name}", float(value), display=False)
steeper_now = gains["other mass function", "image"]
bias, error = (steeper_now[key][mass] for key in ("bias_new", "bias_error"))
glue("steeper_bias_new_words", with_error(bias, error, 3), display=False)
glue("collapsed_share", f"{100 * share:.0f} %", display=False)
share_words = f"{100 * steeper_now['effective_share']:.0f} %"
glue("steeper_share_words", share_words, display=False)
log_sfr = stored["bias"]["log_sfr"]
error = log_sfr["standard_error"]
glue("bursts_shift", stored["shift"], display=False)
glue("bursts_moved", log_sfr["after"] - log_sfr["before"], display=False)
glue("bursts_before", number(log_sfr["before"], 3, "+"), display=False)
after = with_error(log_sfr["after"], error, sign="+")
glue("bursts_after", after, display=False)
gain_words = with_error(stored["gain"], stored["standard_error"], sign="+")
glue("bursts_gain", gain_words, display=False)
glue("bursts_effective", stored["effective_galaxies"], display=False)
glue("bursts_n_test", stored["n_test"], display=False)

# %% [markdown]
# ## What to take away
#
# - Another prior of the five properties needs no training: weight the draws.
# - The effective sample size says when this fails; then train for the new
#   population.
# - A prior on something that is not inferred needs fine-tuning with weighted
#   training galaxies.

# %% [markdown]
# ## Exercises
#
# **What is lost?** The logarithms of the weights follow a Gaussian of width $s$.
# Which share of the draws still counts? Try $s = 1$.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
log_weight = np.random.default_rng(0).standard_normal(100_000)
weight = np.exp(log_weight)
share = weight.sum() ** 2 / (weight**2).sum() / len(weight)
print(f"measured {share:.3f}, from the formula {np.exp(-1):.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# $(\sum w)^2 / (n \sum w^2) \to \mathrm{E}[w]^2 / \mathrm{E}[w^2] = e^{-s^2}$:
# a third for $s = 1$, two in a hundred for $s = 2$. So a prior may differ by a
# factor of a few over the width of a posterior, not by many.
#
# </details>
#
# **Narrower is easier.** For which galaxies do fewer draws survive a change of
# the mass function: galaxies with a well or a poorly known mass? What follows for
# the image model?
#
# <details><summary>Answer</summary>
#
# Galaxies with a poorly known mass: over a wide posterior the ratio of the two
# priors varies more. The more the data say, the less the prior matters, so the
# image model, where it is narrower, is easier to carry to another population.
#
# </details>
#
# **Not by weights.** Why can the bursts of the last section not enter the
# posterior through weights on its draws, and what do we do instead?
#
# <details><summary>Answer</summary>
#
# The weight of a draw may depend only on its five properties, and the burst is
# none of them: galaxies with the same five properties differ in it, and so do
# their data. The training galaxies have a known burst, so we weight these and
# continue the training.
#
# </details>
