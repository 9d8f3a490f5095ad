r"""Calibration: do posteriors contain the measured values as often as they say?

Three tests share one form: the rank of the measured value among a
galaxy's draws by some order, which is
uniform over :math:`0 … S` when the posterior is calibrated.

- Simulation-based calibration orders draws by one property (Talts et al. 2018, arXiv 1804.06788).
- Highest-density regions order them by their density, which looks at all properties together.
- TARP orders them by their distance to a reference point (Lemos et al. 2023, arXiv 2302.03026).

The study simulates galaxies for these tests alone and ranks them under the models of a run and
under variants of their training. It resumes where it was stopped.
"""

from dataclasses import dataclass

from studies import frame

STUDY = frame.Study("calibration", "09_calibration", module="studies.calibration.ranking")


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Size of the tests.

    Arguments:
        n_galaxies: Number of galaxies that are simulated for the tests.
        n_draws: Number of draws per galaxy, at most 255.
        seed: Seed of the galaxies. Recipes were chosen on other galaxies, of seed 606.
    """

    n_galaxies: int = 5000
    n_draws: int = 31
    seed: int = 608
