"""What the cards of models and of surveys share: their form on the Hub, citation, tables."""

import importlib
from collections.abc import Iterable, Sequence

__all__ = ["BIBTEX", "TAGS", "card", "library", "table"]

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
    """A module of the extra `hub`.

    Raises:
        Exception: `error`, when it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise error(
            f"{missing.name}, which the Hub needs, is not installed: pip install 'galcfm[hub]'"
        ) from missing


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def card(data, *parts: str) -> str:
    """A card: the facts that the Hub reads, in YAML, and below them what people read.

    Arguments:
        data: `ModelCardData` or `DatasetCardData` of `huggingface_hub`.
        parts: paragraphs, headings and tables in Markdown.
    """
    text = "\n\n".join(part for part in parts if part)
    return f"---\n{data.to_yaml(line_break=chr(10))}\n---\n\n{text}\n"
