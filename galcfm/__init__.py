"""Galaxy properties from images and photometry by conditional flow matching.

A companion to *Improving Posterior Inference of Galaxy Properties with Image-Based Conditional
Flow Matching* (arXiv 2512.05078).
"""

__all__ = ["Posterior", "Survey"]
__version__ = "0.1.0"


def __getattr__(name):
    # Imported on first use: torch takes seconds that the simulator and the build do not need.
    if name == "Posterior":
        from galcfm.posterior import Posterior

        return Posterior
    if name == "Survey":
        from galcfm.survey import Survey

        return Survey
    raise AttributeError(f"module 'galcfm' has no attribute {name!r}")
