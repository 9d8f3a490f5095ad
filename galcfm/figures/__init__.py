"""The figures of the chapters on the paper, one function per figure.

Each function returns a `matplotlib.figure.Figure` outside pyplot, so that no figure must be closed
or is shown automatically. In a notebook, `%matplotlib inline` displays it; `figure.savefig(path)`
writes it to a file. Colours and markers are fixed and colour-blind safe (`galcfm.figures.style`):
the image model is blue with circles, the photometry model orange with squares, measured values are
dark grey with diamonds. `source` describes the galaxies, e.g.
`"simulated survey"` or `"SDSS"`, and is printed in the upper right corner.

Posteriors are passed as `{"photometry": dataset, "image": dataset}`, each an `xarray.Dataset`
with one variable per property, of dimensions `chain`, `draw`, `object_id`, in physical units.
Measured values are a catalogue or an array `(n, 5)` in the order of `galcfm.properties`, of the
same galaxies.
"""

from galcfm.figures.performance import (
    calibration,
    model_comparison,
    population_quantiles,
    recovery,
    training_curves,
)
from galcfm.figures.planes import dust_age, scaling_relations
from galcfm.figures.posteriors import galaxy_corner, galaxy_panels, pathways
from galcfm.figures.replicated import replicated_photometry
from galcfm.figures.style import COLOURS, save
from galcfm.figures.surveys import contact_sheet, survey_overview

__all__ = [
    "COLOURS",
    "calibration",
    "contact_sheet",
    "dust_age",
    "galaxy_corner",
    "galaxy_panels",
    "model_comparison",
    "pathways",
    "population_quantiles",
    "recovery",
    "replicated_photometry",
    "save",
    "scaling_relations",
    "survey_overview",
    "training_curves",
]
