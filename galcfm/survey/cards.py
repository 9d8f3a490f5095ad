"""Common parts of the cards of models and surveys: template, tags and citation."""

import importlib
from pathlib import Path

import yaml

__all__ = ["BIBTEX", "TAGS", "library", "render"]

TAGS = ["astronomy", "galaxies", "flow-matching", "simulation-based-inference"]
BIBTEX = """\
```bibtex
@article{Yunus2025,
  title   = {Improving Posterior Inference of Galaxy Properties with Image-Based Conditional
             Flow Matching},
  author  = {Yunus, Mikaeel and Wu, John F. and Holwerda, Benne W.},
  journal = {arXiv e-prints},
  eprint  = {2512.05078},
  year    = {2025}
}
@software{galcfm,
  title  = {galcfm: galaxy properties from images and photometry by conditional flow matching},
  author = {{The galcfm developers}}
}
```"""


def library(name: str, error: type[Exception]):
    """Return a module of the extra `hub`.

    Arguments:
        name: Name of the module.
        error: Kind of the exception if the module is not installed.

    Raises:
        Exception: The module is not installed; the exception is of the kind `error`.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise error(
            f"{missing.name}, which the Hub needs, is not installed: pip install 'galcfm[hub]'"
        ) from missing


def render(template: Path, **content) -> str:
    """Return a card: a head in YAML, which the Hub reads, and text in Markdown.

    Arguments:
        template: Path of a Jinja template in Markdown.
        content: Variables of the template, except `tags` and `bibtex`.
    """
    from jinja2 import Environment  # a dependency of PyTorch

    environment = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["yaml"] = lambda text: yaml.safe_dump(text, width=1000).split("\n")[0]
    # A vertical bar would end a cell of a table, a line break its row.
    environment.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", r"\|")
    card = environment.from_string(template.read_text(encoding="utf-8"))
    return card.render(tags=TAGS, bibtex=BIBTEX, **content)
