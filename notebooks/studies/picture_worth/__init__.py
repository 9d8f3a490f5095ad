"""What the image adds to photometry in the simulated survey, and what that depends on.

Each row changes one thing: a tie of the simulated survey, what counts as photometry, what the
models have as input, or how they are trained. Both models of a row are trained for each seed on a
survey of its own, and their exact log-densities are compared galaxy by galaxy.
"""

from studies.picture_worth.comparing import STUDY, Plan, find, make
from studies.picture_worth.rows import LADDER, ROWS, Row
from studies.picture_worth.surveys import survey_of

__all__ = ["LADDER", "ROWS", "STUDY", "Plan", "Row", "find", "make", "survey_of"]
