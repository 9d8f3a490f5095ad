"""Studies: what takes too long for a build of the book, run by hand.

`python -m galcfm.studies.NAME` makes or continues the results that NAME leaves in
`data/published/`; the chapters read them. With `--smoke` it is small, quick and means nothing, and
its results go to `data/runs/smoke/published/`. Nothing else of galcfm imports a study.
"""
