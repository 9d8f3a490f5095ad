"""The simulated survey: star-forming galaxies as the Sloan Digital Sky Survey would see them.

`simulate_survey` makes one on disk, `simulate_catalogue` and `render` are its two halves, and
`RELATIONS` lists the published relations that they draw from, `TIES` those that can be switched
off. Needs `pip install "galcfm[simulate]"`.
"""

from galcfm.simulate.galaxies import MAGNITUDE_LIMIT, is_star_forming
from galcfm.simulate.instruments import INSTRUMENTS, SDSS, Instrument
from galcfm.simulate.making import render_into, simulate_survey
from galcfm.simulate.picture_relations import RELATIONS
from galcfm.simulate.population import LATENTS, simulate_catalogue
from galcfm.simulate.relations import Relation
from galcfm.simulate.rendering import render
from galcfm.simulate.ties import TIES

__all__ = [
    "INSTRUMENTS",
    "LATENTS",
    "MAGNITUDE_LIMIT",
    "RELATIONS",
    "SDSS",
    "TIES",
    "Instrument",
    "Relation",
    "is_star_forming",
    "render",
    "render_into",
    "simulate_catalogue",
    "simulate_survey",
]
