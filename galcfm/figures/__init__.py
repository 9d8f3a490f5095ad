"""The figures of the chapters on the paper, one function per figure.

Each function returns a `matplotlib.figure.Figure` that pyplot does not know of, so nothing has to
be closed and nothing is shown by itself. In a notebook, `%matplotlib inline` displays it;
`figure.savefig(path)` writes it to a file. Colours are fixed and colour-blind safe: truth dark
grey, photometry model orange, image model blue. `source` says what the galaxies are, e.g.
`"simulated survey"` or `"SDSS"`, and is printed in the upper right corner.

Posteriors are passed as `{"photometry": dataset, "image": dataset}`, each an `xarray.Dataset`
with one variable per property, of dimensions `chain`, `draw`, `object_id`, in physical units.
Truths are a catalogue or an array `(n, 5)` in the order of `galcfm.properties`, of the same
galaxies.
"""

from galcfm.figures.performance import (
    calibration,
    model_comparison,
    posterior_mean_distributions,
    training_curves,
    truth_recovery,
    wasserstein_chart,
)
from galcfm.figures.planes import dust_age, scaling_relations
from galcfm.figures.posteriors import galaxy_corner, pathways
from galcfm.figures.replicated import replicated_photometry
from galcfm.figures.style import COLOURS, save
from galcfm.figures.surveys import contact_sheet, survey_overview

__all__ = [
    "COLOURS",
    "calibration",
    "contact_sheet",
    "dust_age",
    "galaxy_corner",
    "model_comparison",
    "pathways",
    "posterior_mean_distributions",
    "replicated_photometry",
    "save",
    "scaling_relations",
    "survey_overview",
    "training_curves",
    "truth_recovery",
    "wasserstein_chart",
]
