"""Studies: what single chapters need beyond `galcfm`, one module or package per study.

A study is its notebook: it makes its results when the notebook's parameter `results` says so, and
reads the published ones otherwise. `studies.frame` contains what studies share. Nothing in `galcfm`
imports a study.
"""
