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
# The figures of the paper, made from this run's posteriors. Each is also
# written as PDF and PNG to the run's `figures` folder.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
galaxies_shown = [0, 1, 2]  # rows of the sampled galaxies in corner plots

# %% tags=["hide-input"]
# %matplotlib inline
from IPython.display import display
from myst_nb import glue

from galcfm import figures, paths, runs, stored_posteriors
from galcfm.figures import tables
from galcfm.figures.explorer import METRICS
from galcfm.survey import Survey

folder = runs.open_run("05_figures", globals())
results = METRICS.read(folder / "metrics.json")
posteriors = {
    name: stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    for name in ("photometry", "image")
}
test = Survey.load(paths.survey_folder(survey)).split("test")
chosen = test.select(range(posteriors["image"].sizes["object_id"]))

# %% [markdown]
# ## Accuracy and informativeness
#
# Each point is a test galaxy. In the paper 81.5 % of the galaxies have the
# higher $\Delta\log p$ and 96.5 % the higher $D_\mathrm{KL}$ with the image.

# %% mystnb={"figure": {"caption": "\u0394log p and D_KL of the image model against the photometry model, from the exact density of the flow where the paper uses kernel estimates. The diagonal is equality.", "name": "fig-paper-metrics"}, "image": {"alt": "Two scatter plots of image model against photometry model, a point a galaxy: exact \u0394log p on the left, exact D_KL on the right, each with the diagonal of equality, a cross at the means and the share of galaxies above the diagonal."}}
figure = figures.model_comparison(
    {
        name: results[name]["galaxies"]["delta_log_p"]["exact"]
        for name in posteriors
    },
    {name: results[name]["galaxies"]["d_kl"]["exact"] for name in posteriors},
    source=test.source,
)
figures.save(figure, folder / "figures" / "model_comparison")
figure

# %% [markdown]
# ## Scaling relations
#
# The relations between mass, star formation rate and metallicity, as the
# measured properties have them and as the posterior means of the two models
# recover them. The paper finds that the image model recovers them more
# faithfully.

# %% mystnb={"figure": {"caption": "Mass-metallicity, star formation rate-mass and star formation rate-metallicity planes of the test galaxies: measured values (left), posterior means from photometry (middle) and from photometry and image (right), with the cutouts of the numbered galaxies.", "name": "fig-scaling-relations"}, "image": {"alt": "Three rows of panels, one a plane: contours of the measured values on the left, of the posterior means of the photometry model in the middle and of the image model on the right, with the measured contours dashed beneath; six numbered galaxies stand in all panels, their cutouts beside them."}}
figure = figures.scaling_relations(
    chosen.catalogue, posteriors, chosen.images, source=test.source
)
figures.save(figure, folder / "figures" / "scaling_relations")
figure

# %% [markdown]
# In numbers: slope and scatter of each plane by ordinary least squares of the
# second property on the first. Of the regressions this is the one that asks
# what to expect at a given mass or rate, and it needs first and second moments
# only, so that it has one value for a population, whatever errors its values
# carry: those make the slopes shallower than nature's, in the measured values
# and in posteriors of measured values alike. *Means* are posterior means.
# *Draws* are one draw per galaxy, averaged over the draws. Errors are from a
# bootstrap over galaxies; in the differences, what the choice of galaxies does
# to model and measured values alike cancels.

# %% tags=["full-width"]
models = {name: results[name] for name in posteriors}
tables.scaling_relations(models)

# %% [markdown]
# What to conclude? Means need not have the relation, even of a perfect
# posterior: they spread less, in each property by another factor, which takes
# scatter away and turns the slope. Of metallicity against star formation rate
# the measured slope is {glue:text}`slope_truth:.2f`; means from photometry
# have {glue:text}`slope_photometry_means:.2f` ±
# {glue:text}`slope_photometry_means_error:.2f`, with the image
# {glue:text}`slope_image_means:.2f` ±
# {glue:text}`slope_image_means_error:.2f`. Only where the data decide all do
# means and measured values agree, so that a recovery by means is information
# once more.
#
# Draws of calibrated posteriors have the measured relation, however little
# they know of a single galaxy: {glue:text}`slope_photometry_draws:.2f` and
# {glue:text}`slope_image_draws:.2f` here. Of the {glue:text}`n_relations:.0f`
# slopes and scatters that the draws of both models give,
# {glue:text}`n_recovered:.0f` lie within two of their errors of the measured
# ones. So a relation that draws recover speaks for the calibration of a model
# and not for the picture; one that means miss speaks against neither. Whoever
# wants a relation from such posteriors should take it from draws.

# %% [markdown]
# ## Dust and age
#
# A dusty young galaxy and a dust-free old one have similar colours. In the
# plane of $A_V$ and $D_n(4000)$ this degeneracy lies along a diagonal; the
# image can help where it shows what colours cannot, such as the inclination of
# a disc. {doc}`04_metrics` says what it is worth on the two together.

# %% mystnb={"figure": {"caption": "Dust attenuation against age indicator for the test galaxies: posterior means (above) and one draw per galaxy (below), over the measured values (dashed). Draws should lie on the dashed contours; means crowd inside them. Right: differences to the measured values; a slope down to the right is the degeneracy.", "name": "fig-dust-age"}, "image": {"alt": "Contours in the plane of Dn(4000) and A_V: posterior means above and one draw per galaxy below, for the photometry model on the left and the image model in the middle, over the dashed contours of the measured values; on the right the differences to these."}}
figure = figures.dust_age(chosen.catalogue, posteriors, source=test.source)
figures.save(figure, folder / "figures" / "dust_age")
figure

# %% [markdown]
# ## Posteriors of single galaxies
#
# Each test galaxy below with its cutout. Contours hold 68 and 95 % of the
# draws, lines mark the measured values, which have errors of their own; look
# for blue contours inside the orange ones.

# %% mystnb={"image": {"alt": "Corner plot of the five properties of one test galaxy: histograms on the diagonal and contours below, photometry model in orange, image model in blue, lines at the measured values, and the cutout in the upper right."}}
for galaxy in galaxies_shown:
    figure = figures.galaxy_corner(
        chosen.catalogue,
        posteriors,
        chosen.images,
        galaxy=galaxy,
        source=test.source,
    )
    figures.save(figure, folder / "figures" / f"corner_{galaxy}")
    display(figure)

# %% tags=["remove-cell"]
relations = {name: models[name]["scaling_relations"] for name in models}
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

# %% [markdown]
# ## Exercises
#
# **Why draws?** Show that one draw from each calibrated posterior has the
# scaling relation of the measured properties, even if each posterior is nearly
# as wide as the population.
#
# <details><summary>Answer</summary>
#
# Measured properties and data are drawn from $p(\theta)\,p(D \mid \theta)$. A
# draw for a galaxy of the test split comes from $p(D)\,p(\theta \mid D)$: the
# same joint distribution, written the other way round. So over many galaxies
# draws are distributed as the measured values are, and any relation of two
# properties, slope, curvature and scatter, is the same. Means are not drawn
# from anything.
#
# </details>
#
# **The degeneracy, in one number.** What is the median correlation of
# $D_n(4000)$ and $A_V$ within the posteriors? Which sign does a trade of age
# against dust have?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
import xarray

for name, dataset in posteriors.items():
    draws = ("chain", "draw")
    found = xarray.corr(dataset["dn4000"], dataset["a_v"], dim=draws)
    print(f"{name}: {float(found.median()):+.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A trade has a negative sign: the same red colour by older stars, a larger
# break, with less dust, or by more dust with younger stars.
#
# </details>
#
# **Find one.** In [the explorer](../explorer.md), look for a galaxy whose
# image posterior is clearly the narrower one in $A_V$, and for one where it is
# not. What do their pictures show?
#
# <details><summary>Answer</summary>
#
# Look at the inclination first: an edge-on disc, its dust lane and its
# reddened middle say what colours leave open. For round and featureless
# galaxies both models tend to say the same. A single galaxy proves nothing,
# though: {doc}`06_what_a_picture_is_worth` asks all of them.
#
# </details>
