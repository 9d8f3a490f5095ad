"""What a survey declares: names, units and ranges that are possible, and their JSON content."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galcfm.properties import (
    PROPERTIES,
    SDSS,
    Declaration,
    DeclarationError,
    Embedding,
    LinearCutouts,
    Property,
    checked_bands,
)

NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,8}\Z").filter(
    lambda n: n not in ("ra", "dec", "ebv")
)
RANGES = st.tuples(st.floats(-1e6, 0), st.floats(0.5, 1e6))


@st.composite
def declarations(draw):
    names = draw(
        st.lists(
            NAMES.filter(lambda n: n not in ("split", "chain", "draw")),
            min_size=1,
            max_size=8,
            unique=True,
        )
    )
    units = st.sampled_from(["1", "mag", "dex(Msun)", "km / s"])
    texts = st.sampled_from(["", r"\alpha", "Å", "a word"])
    properties = [
        Property(name, draw(units), draw(RANGES), draw(texts), draw(texts), draw(texts),
                 label_error=draw(st.none() | st.floats(0, 1)))
        for name in names
    ]  # fmt: skip
    bands = draw(
        st.lists(st.from_regex(r"\A[A-Za-z0-9_]{1,6}\Z"), min_size=1, max_size=9, unique=True)
    )
    lengths = draw(st.dictionaries(NAMES, st.integers(1, 4096), max_size=3))
    embeddings = [Embedding(name, "model 1", k) for name, k in lengths.items()]
    cutouts = draw(st.none() | st.just(LinearCutouts(tuple(bands), 64, 0.262)))
    return Declaration(properties, bands, embeddings, cutouts)


@given(declarations())
def test_a_declaration_is_the_same_after_json(declared):
    content = json.loads(json.dumps(declared.content))
    assert content == declared.content
    assert Declaration.of(content) == declared
    assert 0 <= declared.reference < len(declared.bands)
    assert len(declared.property_names) == len(set(declared.property_names))


def test_the_default_is_that_of_the_paper():
    assert SDSS.content == {}
    assert Declaration.of({}) == SDSS
    assert SDSS.properties == PROPERTIES
    assert SDSS.bands == ("u", "g", "r", "i", "z")
    assert SDSS.bands[SDSS.reference] == "r"


P = Property("log_m", "dex(Msun)", (5, 14))
E = Embedding("image", "aion", 3)
IMPOSSIBLE = {
    "has no unit": lambda: Property("log_m", " ", (5, 14)),
    "is called 'mag_u'": lambda: Property("mag_u", "mag", (5, 14)),
    "is called 'ra'": lambda: Property("ra", "deg", (0, 360)),
    "is called 'log m'": lambda: Property("log m", "1", (0, 360)),
    "is called 'm_err'": lambda: Property("m_err", "1", (0, 360)),
    "ascending": lambda: Property("log_m", "1", (14, 5)),
    "finite": lambda: Property("log_m", "1", (0, float("inf"))),
    r"is \(0, 1, 2\)": lambda: Property("log_m", "1", (0, 1, 2)),
    "'log_m' 2 times": lambda: Declaration([P, P]),
    "no property": lambda: Declaration([]),
    "band 'g' 2 times": lambda: Declaration(bands=("g", "r", "g")),
    "has no band": lambda: Declaration(bands=()),
    "is called 'a b'": lambda: Declaration(bands=("a b",)),
    "does not name the model": lambda: Embedding("image", "", 3),
    "length": lambda: Embedding("image", "aion", 0),
    "'image' 2 times": lambda: Declaration(embeddings=[E] * 2),
    "no embedding 'sp'": lambda: Declaration(embeddings=[E]).embedding("sp"),
    "pixels": lambda: LinearCutouts(("g",), 0, 0.2),
    "damaged": lambda: Declaration.of({"bands": 3}),
}  # fmt: skip


@pytest.mark.parametrize("words", IMPOSSIBLE)
def test_what_is_impossible_is_refused_in_a_sentence(words):
    with pytest.raises(DeclarationError, match=words):
        IMPOSSIBLE[words]()


def test_bands_may_be_one_text_of_letters():
    assert checked_bands("grz") == ("g", "r", "z")
