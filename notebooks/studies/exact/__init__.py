"""The exact posterior of the simulated survey given photometry, and the flows beside it.

The simulator is its own prior, and the noise of its photometry is known, so the posterior that a
flow learns from examples can be computed. The study does so for some galaxies of the test split
and resumes where it was stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studies import frame

STUDY = frame.Study("exact_posteriors", "10_exact_posteriors", module="studies.exact.comparison")
# Draws of the first galaxies, beside the table of all of them.
DRAWS = "exact_draws.parquet"


@dataclass(frozen=True)
class Plan(frame.Plan):
    """How much of everything.

    Arguments:
        n_galaxies: Number of test galaxies.
        n_runs: Number of independent runs of the sampler for each galaxy, at least 2 to compare.
        n_bank: Number of galaxies of the prior that the emulator learns from, before the
            star-forming rule.
        emulator_steps: Number of training steps of the emulator.
        n_particles: Number of particles of a run.
        moves: Number of steps of the particles at each power of the likelihood.
        last_moves: Number of steps at power 1.
        kept: Number of times that particles are kept, evenly spread over the later half of these.
        n_rows: Number of galaxies for the flow that is trained on many.
        many_epochs: Number of passes over them.
        n_draws: Number of draws from each posterior, for widths and classifiers.
        simulated: Arguments of `simulate_catalogue` for the survey of the test galaxies.
        recipe: Changes to `RECIPES["quick"]` for the book's photometry model.
        seed: Seed of everything.
    """

    n_galaxies: int = 100
    n_runs: int = 2
    n_bank: int = 300_000
    emulator_steps: int = 5000
    n_particles: int = 4000
    moves: int = 6
    last_moves: int = 30
    kept: int = 2
    n_rows: int = 220_000
    many_epochs: int = 12
    n_draws: int = 1000
    simulated: Mapping = field(default_factory=lambda: dict(frame.BOOK_SURVEY))
    recipe: Mapping = field(default_factory=dict)
    seed: int = 7
