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
# # Outliers, and dust against age
#
# For some galaxies $\Delta\log p$ is negative: the data make the truth *less*
# likely than the prior does. The paper names them as a weakness. Are they
# errors of the model, or would an exact posterior have them too?
#
# The chapter shows the run's own test galaxies, of which `n_test` and
# `n_lowest` choose some, and stored results for variants of the training. With
# `results = "made"` it makes the latter now, as {doc}`09_calibration` does with
# the same parameters. For example:
#
#     papermill notebooks/11_outliers.ipynb out.ipynb -p n_test 300 \
#         -p results made -p n_galaxies 500 -y "variants: [photometry]"

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_test = 0  # test galaxies of the run that are shown; 0 for all
n_lowest = 8  # galaxies with the lowest gain that are shown, at most 24
results = "published"  # or "made": variants now, as below
n_galaxies = 5000  # galaxies that are simulated for the variants
n_draws = 31  # posterior draws of each of these, at most 255
seed = 608  # seed of these galaxies
variants = []  # names of the trainings to make; none for all

# %% tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import display
from myst_nb import glue

from galcfm import metrics, paths, runs, stored_posteriors
from galcfm.figures import contact_sheet
from galcfm.figures.explorer import METRICS
from galcfm.properties import PROPERTY_NAMES
from galcfm.survey import Survey
from studies import calibration, outliers
from studies.outliers import figures
from studies.realism import image_controls

folder = runs.open_run("11_outliers", globals())
galaxies = Survey.load(paths.survey_folder(survey))
shown = slice(n_test or None)
test = galaxies.split("test")
test = test.select(np.arange(len(test))[shown])
densities = {
    name: metrics.LogDensities(*(values[shown] for values in of))
    for name, of in stored_posteriors.load_densities(
        folder / "densities.npz"
    ).items()
}
gain = {
    name: metrics.information_gain(d.posterior_truth, d.prior_truth)
    for name, d in densities.items()
}
draws = {
    name: d.posterior_samples - d.prior_samples
    for name, d in densities.items()
}

# %% [markdown]
# ## How many should there be?
#
# If a posterior is calibrated, the truth is like one of its own draws. Some
# draws fall where the prior is denser, so some truths must too: the share of
# draws with negative $\Delta\log p$ is the share of galaxies to expect. More
# than that is error; that many is what honest uncertainty looks like.

# %%
shares = {name: outliers.shares_below_zero(d) for name, d in densities.items()}
figures.share_table(shares)

# %% mystnb={"figure": {"caption": "Share of test galaxies whose truth has a lower \u0394log p than each value, beside that of the posterior's own draws. The lines agree where the posterior is calibrated; where the solid line lies above the dashed one in the tail, there are more outliers than a calibrated posterior has.", "name": "fig-outlier-tail"}, "image": {"alt": "Two panels, photometry and image model: the share of galaxies below each \u0394log p on a logarithmic axis, a solid line for the truths and a dashed one for the model's own draws."}}
figures.gain_tail(gain, draws, source=test.source)

# %% [markdown]
# Where the two lines lie on each other, a negative $\Delta\log p$ is no
# failure: that many are what honest uncertainty looks like. Only what lies above
# the dashed line, in the tail, can be an error.

# %% [markdown]
# ## Who they are
#
# The test galaxies with the lowest $\Delta\log p$ under the image model, from
# the lowest on:

# %% mystnb={"figure": {"caption": "The test galaxies with the lowest \u0394log p under the image model, with their measured properties.", "name": "fig-outliers"}, "image": {"alt": "Colour cutouts in rows, each with redshift, r magnitude, the five measured properties and \u0394log p written below it."}}
lowest = np.argsort(gain["image"])[:n_lowest]
worst = test.select(lowest)
contact_sheet(
    worst.catalogue.assign(delta_log_p=gain["image"][lowest]),
    worst.images,
    source=test.source,
)

# %% [markdown]
# The simulated survey keeps what a real one cannot: the properties without
# their measurement errors. So it can be asked whether the posterior missed
# the galaxy or the catalogue did.

# %% mystnb={"figure": {"caption": "\u0394log p against the size of the measurement errors of the five properties of each test galaxy (root mean square, in units of the quoted errors). Triangles at the edge are galaxies beyond it.", "name": "fig-label-errors"}, "image": {"alt": "Two scatter plots, photometry and image model: \u0394log p against the size of the label errors, a point a galaxy, with a dashed line at zero."}}
simulated = "a_v_true" in test.catalogue
if simulated:
    size = outliers.label_error_size(test.catalogue)
    display(figures.label_errors(size, gain, source=test.source))

# %%
if simulated:
    display(figures.label_error_table(size, gain))

# %% [markdown]
# A wrong label can make an outlier. Were it the rule, the label errors of
# galaxies with negative $\Delta\log p$ would be larger than those of all galaxies
# by a factor, not by a fraction.

# %% [markdown]
# ## Outliers that only the kernel estimate makes
#
# The paper estimates densities with kernels around 1,000 draws. Beyond the
# last draw such an estimate falls like a Gaussian of the kernel's width,
# however slowly the posterior itself fades. For the same galaxies and the image
# model, {glue:text}`image_below_zero_kde:.1f` % of the gains are negative
# by kernels and {glue:text}`image_below_zero_exact:.1f` % exactly. The tail differs
# more, which widens the spread of $\Delta\log p$: the lowest gain is
# {glue:text}`image_lowest_kde:.1f` nat by kernels and
# {glue:text}`image_lowest:.1f` nat exactly.

# %% [markdown]
# ## Does a better model remove them?
#
# For galaxies that no model has seen, [Calibration](09_calibration.ipynb) also
# records $\Delta\log p$ under each variant of the training. If outliers were a failing of capacity, training or
# luck, then a deeper network, more epochs or the mean of several trainings
# would bring their share down to what is expected from the draws.

# %%
plan = calibration.Plan.of(globals())
result = calibration.STUDY.result(results, folder, plan, variants=variants)
print(result.origin)
compared = result.content["recipes"]
outliers.outliers_by_variant(compared, result.table()).round(3)

# %% [markdown]
# Most are what draws let expect. Under this book's photometry model about as
# many truths lie below zero as draws. The image model has more, by three
# standard errors, and photometry by the paper's training has more by four:
# both are too narrow ({doc}`09_calibration`), the one for want of galaxies, the
# other because it is not finished.
# With 60,000 galaxies photometry has no more than its draws, and with 36,000
# the image model's excess is down to two standard errors. The share itself
# hardly changes: most of these galaxies are no errors at all.

# %% [markdown]
# ## Dust against age
#
# A galaxy is red because its stars are old, because it is dusty, or because
# it is rich in metals. How far does each posterior leave that open? In the
# plane of two properties, each in units of the survey's own spread, the
# longest axis of a posterior has a direction and a length. A correlation
# below zero means that more dust is traded for younger or poorer stars.

# %% mystnb={"figure": {"caption": "Correlation of A_V with age and metallicity indicators within each galaxy's posterior, and length of the posterior's longest axis in that plane. Correlations near zero and short axes mean that the data tell the two apart.", "name": "fig-degeneracy"}, "image": {"alt": "Two rows of histograms, a column a plane: the correlation within each galaxy's posterior above, the length of the posterior's longest axis below, an outline a model."}}
scale = galaxies.split("train").properties.std(axis=0)
samples = {
    name: stored_posteriors.samples_array(
        stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    )[shown]
    for name in ("photometry", "image")
}
planes = {
    "$A_V$, $D_n(4000)$": ("dn4000", "a_v"),
    r"$A_V$, $12+\log($O/H$)$": ("oxygen_abundance", "a_v"),
    r"$A_V$, $\log$ SFR": ("log_sfr", "a_v"),
}
found = {}
for plane, names in planes.items():
    columns = [PROPERTY_NAMES.index(name) for name in names]
    found[plane] = {
        model: outliers.degeneracy(values[..., columns], scale[columns])
        for model, values in samples.items()
    }
figures.degeneracies(found, source=test.source)

# %%
pd.DataFrame(
    {
        (plane.replace("$", ""), model): pd.DataFrame(result).median()
        for plane, by_model in found.items()
        for model, result in by_model.items()
    }
).T.rename(columns={"angle": "angle [deg]"}).rename_axis(
    ["medians over galaxies", "model"]
).round(2)

# %% [markdown]
# The median correlation of $A_V$ and $D_n(4000)$ goes from
# {glue:text}`photometry_dust_age_correlation:.2f` to
# {glue:text}`image_dust_age_correlation:.2f` with the picture, and the longest axis
# from {glue:text}`photometry_dust_age_length:.2f` to
# {glue:text}`image_dust_age_length:.2f` of the population's spread. The paper finds
# the degeneracy loosened, not lifted.

# %% [markdown]
# What of $A_V$ do the models recover? The share of its variance that the
# posterior mean explains, beside the most that any method could, which the
# measurement errors of $A_V$ itself set. The controls of [Is the survey
# real?](12_is_the_survey_real.ipynb) say what more a picture could give: the
# gain in $\log p$ of $A_V$ by the true inclination, and of all five properties
# by three true numbers of the shape, half-light radius, inclination and bulge
# fraction.

# %%
measured = METRICS.read(folder / "metrics.json")
column = PROPERTY_NAMES.index("a_v")
variance = test.properties[:, column].var()
explained = {
    name: measured[name]["point_estimates"]["a_v"]["r2"] for name in gain
}
if simulated:
    noise = np.mean(np.square(test.catalogue["a_v_err"]))
    explained["most that is possible"] = 1 - noise / variance
print(pd.Series(explained).round(3).to_string())
controls = image_controls.STUDY.read().content
for name in ("inclination", "shape"):
    control = controls["experiments"][name]
    print(
        f"{control['question']}: {control['gain']:+.3f} "
        f"± {control['standard_error']:.3f} nat"
    )

# %% tags=["remove-cell"]
for name, values in gain.items():
    dust_age = next(iter(found.values()))[name]
    kernel = np.array(measured[name]["galaxies"]["delta_log_p"]["kde"])
    kernel = kernel[: len(values)]
    exact = values[: len(kernel)]
    numbers = {
        "a_v_explained": 100 * explained[name],
        "below_zero": 100 * np.mean(values < 0),
        "expected_below_zero": shares[name]["expected"],
        "below_zero_exact": 100 * np.mean(exact < 0),
        "below_zero_kde": 100 * np.mean(kernel < 0),
        "lowest": exact.min(),
        "lowest_kde": kernel.min(),
        "dust_age_correlation": np.median(dust_age["correlation"]),
        "dust_age_length": np.median(dust_age["length"]),
    }
    for key, number in numbers.items():
        glue(f"{name}_{key}", float(number))

# %% [markdown]
# ## Exercises
#
# **How many by honest chance?** One property, a prior of width 1, and
# posteriors that are exact Gaussians of width $s$. What share of truths has a
# negative $\Delta\log p$ for $s$ of 0.1, 0.5 and 0.9? Draw them and count.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
rng = np.random.default_rng(0)
for s in (0.1, 0.5, 0.9):
    middle = np.sqrt(1 - s**2) * rng.standard_normal(100_000)
    z = rng.standard_normal(100_000)
    honest = -np.log(s) - z**2 / 2 + (middle + s * z) ** 2 / 2
    print(f"s = {s}: {(honest < 0).mean():.1%} below zero")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The less the data tell, the more truths lie below zero. Many outliers of that
# kind are the mark of weak data, not of a weak model.
#
# </details>
#
# **Which side to err on?** Two models have the same mean $\Delta\log p$. One
# has more galaxies below $-3$ nat than its own draws let expect. Which one
# would you take for a catalogue?
#
# <details><summary>Answer</summary>
#
# The other. Its intervals mean what they say for each galaxy, while those of
# the first fail where nobody is warned; the same mean says that it pays for
# them by being sharper elsewhere. Comparing truths with draws, as in the first
# figure, is what tells the two apart, and the mean does not.
#
# </details>
