"""The exact posterior of the simulated survey given photometry, and the flows beside it.

The simulator is its own prior, and the noise of its photometry is known, so the posterior that a
flow learns from examples can be computed. `python -m studies.exact` does so for some
galaxies of the test split and writes `data/published/exact_posteriors.*`; called again, it goes on
where it was stopped.
"""

from studies.exact.comparing import Plan
from studies.exact.publishing import publish, summarise

__all__ = ["Plan", "publish", "summarise"]
