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

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
galaxies_shown = [0, 1, 2]  # rows of the sampled galaxies in corner plots

# %%
# %matplotlib inline
import json

from IPython.display import display

from galcfm import figures, paths, runs, stored_posteriors
from galcfm.survey import Survey

folder = runs.open_run("05_figures", globals())
results = json.loads((folder / "metrics.json").read_text())
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

# %% mystnb={"figure": {"caption": "\u0394log p and D_KL of the image model against the photometry model, from the exact density of the flow where the paper uses kernel estimates. The diagonal is equality.", "name": "fig-paper-metrics"}}
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
# recover them.

# %% mystnb={"figure": {"caption": "Mass-metallicity, star formation rate-mass and star formation rate-metallicity planes of the test galaxies: measured values (left), posterior means from photometry (middle) and from photometry and image (right), with the cutouts of the numbered galaxies.", "name": "fig-scaling-relations"}}
figure = figures.scaling_relations(
    chosen.catalogue, posteriors, chosen.images, source=test.source
)
figures.save(figure, folder / "figures" / "scaling_relations")
figure

# %% [markdown]
# ## Dust and age
#
# A dusty young galaxy and a dust-free old one have similar colours. In the
# plane of $A_V$ and $D_n(4000)$ this degeneracy lies along a diagonal; the
# image helps where it shows what colours cannot, such as the inclination of a
# disc.

# %% mystnb={"figure": {"caption": "The plane of dust attenuation and age indicator for the test galaxies: measured values and the posteriors of the two models.", "name": "fig-dust-age"}}
figure = figures.dust_age(chosen.catalogue, posteriors, source=test.source)
figures.save(figure, folder / "figures" / "dust_age")
figure

# %% [markdown]
# ## Posteriors of single galaxies
#
# Each test galaxy below with its cutout. Contours hold 68 and 95 % of the
# draws, lines mark the measured values, which have errors of their own; look
# for blue contours inside the orange ones.

# %%
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
