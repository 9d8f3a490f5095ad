"""Published relations of the appearance of galaxies, which total magnitudes do not show.

They are in `picture_relations.yaml`, and each is a name of this module. Together with the relations
of `relations.py` they are `RELATIONS`, the table that the book prints.
"""

from pathlib import Path

from galcfm.simulate.relations import RELATIONS_OF_GALAXIES, read_relations

_READ = read_relations(Path(__file__).with_name("picture_relations.yaml"))
globals().update(_READ)
RELATIONS_BY_NAME = RELATIONS_OF_GALAXIES | _READ
RELATIONS = tuple(RELATIONS_BY_NAME.values())
