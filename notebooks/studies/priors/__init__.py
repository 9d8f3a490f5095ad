r"""Other priors: what the posteriors would be for another population of galaxies.

A model learns the posterior under the population it was trained on. For another prior of the same
five properties, with everything else about a galaxy of given properties unchanged, the posterior
follows without training:

.. math:: p_\text{new}(\theta | D) \propto p(\theta | D)\, r(\theta), \quad
    r(\theta) = p_\text{new}(\theta) / p(\theta)

Draws get the weights :math:`r(\theta)` (`studies.priors.weights`). The effective sample size says
how many of them still count.

What is not among the properties, such as the star formation history, cannot be weighted in draws;
`galcfm.training.train` takes weights of the training galaxies instead. The study fine-tunes a
run's photometry model in this way, for a prior with more recent bursts of star formation.
"""

from dataclasses import dataclass

from studies import frame

STUDY = frame.Study("priors", "16_other_priors", module="studies.priors.bursts")


@dataclass(frozen=True)
class Plan(frame.Plan):
    """The prior of the fine-tuned model, and how long it is trained.

    Arguments:
        burst_shift: Shift of the mean burst of main-sequence galaxies [dex].
        max_epochs: Largest number of epochs of the fine-tuning.
        learning_rate: Learning rate of the fine-tuning.
    """

    burst_shift: float = 0.15
    max_epochs: int = 15
    learning_rate: float = 3e-4
