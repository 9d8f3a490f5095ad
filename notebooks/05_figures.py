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
# # The paper's figures
#
# We remake the paper's figures from the posteriors of this run
# (*{glue:text}`source:s`*). By the paper's measure the image model is more accurate
# for {glue:text}`win_rate_delta_log_p:.1f` % of the galaxies and more informative for
# {glue:text}`win_rate_d_kl:.1f` %, compared with 81.5 % and 96.5 % in the paper.
# Scaling relations are recovered by draws of either model,
# {glue:text}`n_recovered:.0f` of {glue:text}`n_relations:.0f` slopes and scatters
# within two standard errors, but not by posterior means.
#
# Each figure is also written as PDF and PNG to the run's `figures` folder.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]
import numpy as np
import xarray
from IPython.display import HTML
from myst_nb import glue

from galcfm import figures, paths, runs, stored_posteriors
from galcfm.figures import tables
from galcfm.figures.explorer import METRICS, explorer_links
from galcfm.figures.tables.words import number
from galcfm.survey import Survey
from studies import teaching

folder = runs.open_run("05_figures", globals())
results = METRICS.read(folder / "metrics.json")
posteriors = {
    name: stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    for name in ("photometry", "image")
}
models = {name: results[name] for name in posteriors}
test = Survey.load(paths.survey_folder(survey)).split("test")
chosen = test.select(range(posteriors["image"].sizes["object_id"]))

# %% [markdown]
# ## Accuracy and informativeness
#
# Kernel densities, as we assume the paper used them, raise $D_\mathrm{KL}$ and lower
# $\Delta\log p$ of both models. {numref}`fig-delta-log-p` shows the same comparison
# with exact densities.

# %% mystnb={"figure": {"caption": "Image model against photometry model for each test galaxy, by kernel densities as in the paper: $\\Delta\\log p$ on the left, $D_\\mathrm{KL}$ on the right. Blue points: the image model is higher. In $D_\\mathrm{KL}$ it is higher for nearly all galaxies, because a further input narrows almost every posterior, rightly or not.", "name": "fig-paper-metrics"}, "image": {"alt": "Two scatter plots, one point per galaxy: \u0394log p on the left, with most points above the diagonal, and D_KL on the right, with nearly all points above it; the share above is printed in each."}} tags=["hide-input"]
figure = figures.model_comparison(
    {n: r["galaxies"]["delta_log_p"]["kde"] for n, r in models.items()},
    {n: r["galaxies"]["d_kl"]["kde"] for n, r in models.items()},
    source=test.source,
)
figures.save(figure, folder / "figures" / "model_comparison")
figure

# %% [markdown]
# ## Scaling relations
#
# In the paper, posterior means of the image model recover the relations of
# mass, star formation rate and metallicity more faithfully than those of the
# photometry model. In {numref}`fig-scaling-relations` the means of both our
# models scatter less than the galaxies, and the image changes this only a
# little.

# %% mystnb={"figure": {"caption": "Three relations of the test galaxies: measured values (left), posterior means of the photometry model (middle) and of the image model (right), with the contours of the measured values dashed. Means scatter less than the galaxies, less so with the image. Numbers mark the galaxies below.", "name": "fig-scaling-relations"}, "image": {"alt": "Nine panels in three rows, one per relation. The contours of posterior means are narrower than the dashed contours of the measured values, most of all for the photometry model. Four numbered galaxies are marked in all panels, with their images below."}} tags=["hide-input"]
figure = figures.scaling_relations(
    chosen.catalogue, posteriors, chosen.images, source=test.source
)
figures.save(figure, folder / "figures" / "scaling_relations")
figure

# %% [markdown]
# The table gives slope and scatter of each relation by ordinary least squares,
# for measured values and for posterior *means* and *draws* (one per galaxy,
# averaged over the draws). Measurement errors flatten the slope equally in the
# measured values and in posteriors of measured values, so the comparison is
# fair. Errors are from a bootstrap over galaxies, paired in the differences.

# %% tags=["hide-input"]
tables.scaling_relations(models)

# %% [markdown]
# Means need not follow the relation, even for a perfect posterior: they
# scatter less, by another factor in each property. For metallicity against
# star formation rate the measured slope is {glue:text}`slope_truth:.3f`; means
# give {glue:text}`slope_photometry_means:.3f` ±
# {glue:text}`slope_photometry_means_error:.3f` without and
# {glue:text}`slope_image_means:.3f` ± {glue:text}`slope_image_means_error:.3f`
# with the image. Draws of calibrated posteriors follow the relation, however
# wide the posteriors are: {glue:text}`slope_photometry_draws:.3f` and
# {glue:text}`slope_image_draws:.3f` here.
#
# So recovering a relation from draws shows that a model is calibrated, not
# that the image helps, and failing to recover it from means shows neither.

# %% [markdown]
# ## Dust and age
#
# A dusty young galaxy and a dust-free old one have similar colours. In the plane of
# $A_V$ and $D_n(4000)$ this {term}`degeneracy` lies along a diagonal.
# {doc}`04_metrics` measures what the image adds for the two properties together.

# %% mystnb={"figure": {"caption": "Dust attenuation against the age indicator. Left and middle: posterior means (top) and one draw per galaxy (bottom), with the contours of the measured values dashed; draws match them, means crowd inside. Right: differences from the measured values, orange area for the photometry model and blue lines for the image model. A slope down to the right is the degeneracy, which the image narrows but does not remove.", "name": "fig-dust-age"}, "image": {"alt": "Six panels in the plane of D_n(4000) and A_V. Contours of posterior means lie inside the dashed measured contours, contours of draws match them. The differences on the right slope down to the right for both models, slightly narrower with the image."}} tags=["hide-input"]
figure = figures.dust_age(chosen.catalogue, posteriors, source=test.source)
figures.save(figure, folder / "figures" / "dust_age")
figure

# %% [markdown]
# ## Single galaxies
#
# Four test galaxies, chosen by rule: among the tenth that is seen most
# edge-on, the galaxy with the largest {term}`gain`; among the tenth seen most
# face-on, the galaxy with the gain nearest zero; the galaxy with the strongest
# anticorrelation of $D_n(4000)$ and $A_V$ under the photometry model; and the
# galaxy with the lowest $\Delta\log p$ under the image model, its worst
# failure. [The explorer](../explorer.md) shows others.

# %% mystnb={"figure": {"caption": "Four galaxies: image and gain (left), posterior of dust against age (middle) and of stellar mass (right). Orange areas: photometry model; blue lines: image model, at 68 % and 95 %; dashed: measured values. By choice, the image moves the posterior of the first galaxy towards the measured values and changes the second one little, the third trades dust against age, and the measured values of the last lie in the tail of the image model's posterior.", "name": "fig-galaxies"}, "image": {"alt": "Four rows of image, contours of dust against age, and densities of stellar mass: an edge-on disc whose blue curves lie nearer to the dashed measured values than the orange ones, a face-on galaxy with nearly equal posteriors, a galaxy whose contours slope down to the right under both models, and one whose measured values lie at the edge of the blue contours."}} tags=["hide-input"]
log_p = {
    name: np.array(result["galaxies"]["delta_log_p"]["exact"])[: len(chosen)]
    for name, result in models.items()
}
gain = log_p["image"] - log_p["photometry"]
correlations = {
    name: xarray.corr(
        dataset["dn4000"], dataset["a_v"], dim=("chain", "draw")
    ).to_numpy()
    for name, dataset in posteriors.items()
}
rows = {
    "degenerate": correlations["photometry"].argmin(),
    "failure": log_p["image"].argmin(),
}
if "inclination" in chosen.catalogue:
    inclined = np.argsort(chosen.catalogue["inclination"].to_numpy())
    tenth = max(1, len(chosen) // 10)
    edge, face = inclined[-tenth:], inclined[:tenth]
    rows = {
        "edge-on": edge[gain[edge].argmax()],
        "face-on": face[np.abs(gain[face]).argmin()],
    } | rows
shown = {
    f"{words}:\ngain {number(gain[row], 1, '+')} nat": int(row)
    for words, row in rows.items()
}
figure = figures.galaxy_panels(
    chosen.catalogue, posteriors, chosen.images, shown, source=test.source
)
figures.save(figure, folder / "figures" / "galaxies")
figure

# %% tags=["hide-input"]
HTML(explorer_links(chosen.object_id, list(shown.values())))

# %% tags=["remove-cell"]
relations = {
    name: result["scaling_relations"] for name, result in models.items()
}
plane = "log_sfr/oxygen_abundance"
glue("slope_truth", relations["image"][plane]["truth"]["slope"]["value"])
for name, by_plane in relations.items():
    for kind, population in (("means", "posterior_mean"), ("draws", "draws")):
        slope = by_plane[plane][population]["slope"]
        glue(f"slope_{name}_{kind}", slope["value"])
        glue(f"slope_{name}_{kind}_error", slope["standard_error"])
recovered = [
    abs(found["minus_truth"]) < 2 * found["minus_truth_error"]
    for by_plane in relations.values()
    for by_population in by_plane.values()
    for found in by_population["draws"].values()
]
glue("n_relations", float(len(recovered)))
glue("n_recovered", float(sum(recovered)))

for metric in ("delta_log_p", "d_kl"):
    wins = results["comparison"][metric]["kde"]["wins"]["win_rate"]
    glue(f"win_rate_{metric}", 100 * wins)
glue("source", test.source)
inclined = chosen.catalogue.get("inclination", np.full(len(chosen), np.nan))
is_edge_on = np.asarray(inclined) > 75
top = np.argsort(gain)[-max(1, len(chosen) // 10) :]
glue("edge_top", 100 * float(is_edge_on[top].mean()))
glue("edge_all", 100 * float(is_edge_on.mean()))
# Figures of two other pages.
reading = teaching.how_to_read(
    chosen.catalogue,
    posteriors,
    galaxy=int(correlations["image"].argmin()),
    source=test.source,
)
words = (
    "Left: a histogram of the log SFR draws of one galaxy, narrower than "
    "the grey density of all galaxies, with a bar over the central 68 % "
    "and a dashed line at the measured value. Right: draws of Dn(4000) "
    "and A_V with contours of 68 and 95 %, sloping down to the right."
)
glue("reading_figure", HTML(teaching.embedded(reading, words)))
paths_shown = teaching.flow_of_one_property(source="example, no galaxy")
words = (
    "Paths from noise at time 0 to a posterior with two peaks at time 1. "
    "On the left they are straight and cross; on the right they are "
    "curved and never cross."
)
glue("path_figure", HTML(teaching.embedded(paths_shown, words)))

# %% [markdown]
# ## What to take away
#
# - The image model has the higher density for most galaxies, but for fewer than in the
#   paper.
# - Draws follow the measured scaling relations under both models; posterior means do
#   not, and need not.
# - The image narrows the dust–age degeneracy; it does not remove it.

# %% [markdown]
# ## Exercises
#
# **Why draws?** Show that one draw from each calibrated posterior has the scaling
# relation of the measured properties, even if each posterior is nearly as wide as the
# population.
#
# <details><summary>Answer</summary>
#
# Measured properties and data are drawn from $p(\theta)\,p(D \mid \theta)$. A draw for
# a galaxy of the test split comes from $p(D)\,p(\theta \mid D)$, which is the same
# joint distribution written the other way round. So over many galaxies draws are
# distributed as the measured values are, and any relation of two properties, slope,
# curvature and scatter, is the same. Means are not drawn from any such distribution.
#
# </details>
#
# **The degeneracy in one number.** What is the median correlation of $D_n(4000)$ and
# $A_V$ within the posteriors? Which sign does a trade of age against dust have?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
for name, found in correlations.items():
    print(f"{name}: {number(np.median(found), 2, '+')}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A trade has a negative sign: the same red colour arises from older stars, with a
# larger break and less dust, or from more dust with younger stars.
#
# </details>
#
# **Find one.** In [the explorer](../explorer.md), sort the galaxies by gain. Compare a
# galaxy near the top with one near zero. What do their images show?
#
# <details><summary>Answer</summary>
#
# In the simulated survey {glue:text}`edge_top:.0f` % of the tenth with the largest
# gain are inclined by more than 75°, compared with {glue:text}`edge_all:.0f` % of
# all galaxies. Edge-on discs gain more often than others, but most of the largest
# gains belong to other galaxies. {doc}`06_what_a_picture_is_worth` measures the gain
# from each link of the simulation, inclination and dust among them.
#
# </details>
