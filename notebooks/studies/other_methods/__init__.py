"""Other methods on the same galaxies: every way that the paper names, and what each costs.

The methods of `studies.methods` are fitted to the simulated survey with all ties and evaluated on
the same test galaxies. The result is `methods.json`; `methods.parquet` has the log-density of
each test galaxy, `methods_draws.parquet` draws of the first galaxies by all methods. Each method
that learns is tried with as many settings as any other, chosen on validation with the first seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galcfm.survey import Survey
from studies import frame
from studies.frame import Study

STUDY = Study("methods", "14_other_methods", module="studies.other_methods.comparison")
LABEL = "label"  # the row of the measured properties among draws


@dataclass(frozen=True)
class Plan(frame.ModelPlan):
    """Sizes of the study, beside those of `studies.frame.ModelPlan`.

    `image_crop` and `image_bin` hold for all methods, and so do `max_epochs` and `batch_size`.

    Arguments:
        batch_size: Number of galaxies per step of any network; None for that of its row, 64.
        network: Options of the networks of other methods that differ from their own: `crop`,
            `bin_factor`, `width` of encoders, `hidden` of spline flows.
        n_tries: Number of settings that are tried of each row.
        n_means: Number of test galaxies of which draws are taken.
        n_draws: Number of draws per galaxy.
        n_divergence: Number of galaxies whose divergence from the prior is estimated.
        n_exact: Number of draws that are compared with those of the exact posterior.
        n_spectra: Number of spectra per galaxy over which densities of the row `spectra` are
            averaged.
        n_fits: Number of test galaxies that are fitted by sampling.
        n_live: Live points of these fits.
        n_effective: Effective draws at which these fits end.
        n_shown: Number of test galaxies that are shown.
        n_shown_draws: Number of draws of each that are kept.
    """

    batch_size: int | None = None
    network: Mapping = field(default_factory=dict)
    n_tries: int = 3
    n_means: int = 2000
    n_draws: int = 128
    n_divergence: int = 300
    n_exact: int = 1000
    n_spectra: int = 1024
    n_fits: int = 100
    n_live: int = 250
    n_effective: int = 1000
    n_shown: int = 3
    n_shown_draws: int = 500


def survey_of(plan: Plan) -> Survey:
    """Return the simulated survey with all ties, on which all rows are compared."""
    from studies import picture_worth

    return picture_worth.survey_of(picture_worth.ROWS["all"], plan)
