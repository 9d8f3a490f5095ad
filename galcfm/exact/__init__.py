"""The exact posterior of the simulated survey given photometry, and the flows beside it.

The simulator is its own prior, and the noise of its photometry is known, so the posterior that a
flow learns from examples can be computed. `python -m galcfm.exact` does so for some galaxies of
the test split and writes `data/published/exact_posteriors.*`; called again, it goes on where it
was stopped.
"""

from galcfm.exact.comparing import (
    ExactPosterior,
    Plan,
    Work,
    classifier_accuracy,
    compare,
    label_errors,
)
from galcfm.exact.emulator import Emulator, train_emulator
from galcfm.exact.latents import Light, Replay, n_latents, shine
from galcfm.exact.publishing import publish, summarise
from galcfm.exact.sampler import effective_size, kernel_log_density, temper

__all__ = [
    "Emulator",
    "ExactPosterior",
    "Light",
    "Plan",
    "Replay",
    "Work",
    "classifier_accuracy",
    "compare",
    "effective_size",
    "kernel_log_density",
    "label_errors",
    "n_latents",
    "publish",
    "shine",
    "summarise",
    "temper",
    "train_emulator",
]
