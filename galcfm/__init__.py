"""Galaxy properties from images and photometry by conditional flow matching.

A companion to *Improving Posterior Inference of Galaxy Properties with Image-Based Conditional
Flow Matching* (arXiv 2512.05078).
"""

from galcfm.posterior import Posterior
from galcfm.survey import Survey

__all__ = ["Posterior", "Survey"]
__version__ = "0.1.0"
