"""Figures of any declared properties, bands and models, and of galaxies without some labels."""

import numpy as np
import pandas as pd
import pytest
import xarray
from drawn import SOURCE, all_texts, draw, make_data
from test_figures import FIGURES

from galcfm import figures
from galcfm.figures import explorer, style, tables
from galcfm.posterior.draws import Draws
from galcfm.properties import PROPERTIES, Declaration, Property
from galcfm.survey import Survey

ODD = (
    Property("dn4000", "1", (-9, 9)),
    Property("log_age", "dex(Gyr)", (-9, 9), symbol=r"\log t"),
    Property("redshift", "1", (-9, 9), symbol="z"),
    Property("name", "km / s", (-9, 9)),
    *(Property(f"a_{k}", "mag", (-9, 9), symbol=f"A_{k}") for k in range(4)),
)
OF_SETS = ("calibration", "galaxy_corner", "population_quantiles", "recovery")
NEED = {
    "dust_age": "dn4000, a_v",
    "galaxy_panels": "log_stellar_mass, dn4000, a_v",
    "scaling_relations": "log_stellar_mass, oxygen_abundance",
}


def declared_data(n_properties, n=40, models=("photometry", "image_embedding")):
    """Return catalogue, posteriors and cutouts of galaxies with the first odd properties."""
    rng, declared = np.random.default_rng(0), Declaration(properties=ODD[:n_properties])
    theta = 1 + 0.3 * rng.normal(size=(n, n_properties))
    ids = np.array([f"galaxy-{k}" for k in range(n)])
    posteriors = {}
    for model in models:
        draws = theta[:, None] + 0.1 * rng.normal(size=(n, 100, n_properties))
        posteriors[model] = Draws.of(draws, ids, {}, {}, declared)
    catalogue = pd.DataFrame(theta, columns=list(declared.property_names)).assign(object_id=ids)
    return catalogue, posteriors, rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)


def made(name, data, **changes):
    arguments = FIGURES[name][0](*data) | changes
    return draw(lambda: getattr(figures, name)(**arguments, source=SOURCE))


@pytest.mark.parametrize("n_properties", [1, 2, 8])
@pytest.mark.parametrize("name", OF_SETS)
def test_each_names_the_declared_properties(name, n_properties):
    texts = " ".join(all_texts(made(name, declared_data(n_properties))))
    for label in style.labels_of(ODD[:n_properties]).values():
        symbol, _, unit = label.partition(" [")
        assert symbol in texts
        # Ranks and percentiles have no unit.
        assert name in ("calibration", "population_quantiles") or f"[{unit}" in texts or not unit
    assert "Image embedding model" in texts


@pytest.mark.parametrize(("name", "needed"), NEED.items())
def test_a_figure_of_other_properties_says_so(name, needed):
    data = declared_data(2)
    with pytest.raises(ValueError, match=f"shows {needed}, and the posteriors have no .*: draw"):
        getattr(figures, name)(**FIGURES[name][0](*data), source=SOURCE)


def test_relations_are_those_of_the_declared_properties():
    names = ("log_sfr", "dn4000", "log_stellar_mass")
    catalogue, posteriors, images = make_data(40)
    declared = Declaration(properties=[p for n in names for p in PROPERTIES if p.name == n])
    fewer = {
        model: Draws.of(
            np.stack([dataset[n].to_numpy().reshape(100, 40).T for n in names], -1),
            dataset["object_id"].to_numpy(),
            {},
            {},
            declared,
        )
        for model, dataset in posteriors.items()
    }
    figure = made("scaling_relations", (catalogue, fewer, images))
    assert len(figure.axes) == 3 + 4
    assert figure.axes[0].get_xlabel() == "" or "M_" in figure.axes[0].get_xlabel()


@pytest.mark.parametrize("name", [*OF_SETS, "scaling_relations", "dust_age"])
def test_galaxies_without_a_label_are_left_out_and_counted(name):
    catalogue, posteriors, images = make_data(60)
    catalogue.loc[:19, "a_v"] = np.nan
    catalogue.loc[10:24, "oxygen_abundance"] = np.nan
    texts = all_texts(made(name, (catalogue, posteriors, images)))
    found = {
        words
        for text in texts
        for words in text.split("\n")
        if words.endswith("0 galaxies") or words == "45 galaxies"
    }
    expected = {"dust_age": {"40 galaxies"}, "scaling_relations": {"45 galaxies"}}
    if name != "galaxy_corner":
        assert found == expected.get(name, {"40 galaxies", "45 galaxies"})
    kept = catalogue["a_v"].notna().to_numpy()
    if name == "recovery":
        alone = {model: dataset.isel(object_id=kept) for model, dataset in posteriors.items()}
        few = made(name, (catalogue[kept], alone, images[kept]))
        assert few.axes[4].get_title(loc="left") in " ".join(texts)


def test_a_property_that_no_galaxy_has_is_named():
    catalogue, posteriors, _ = make_data(30)
    for name in ("recovery", "calibration", "population_quantiles", "dust_age"):
        with pytest.raises(ValueError, match=r"no galaxy has a measured .*a_v: select"):
            getattr(figures, name)(catalogue.assign(a_v=np.nan), posteriors, source=SOURCE)
    with pytest.raises(ValueError, match="the catalogue has no column a_v: add it"):
        figures.recovery(catalogue.drop(columns="a_v"), posteriors, source=SOURCE)


def test_models_with_embeddings_have_looks_of_their_own():
    names = ["photometry", "image", "spectrum_embedding", "AION_text_embedding", "image_embedding"]
    looks = style.looks_of(names)
    assert len({looks[name].colour for name in names}) == 5
    assert len({looks[name].marker for name in names}) == 5
    assert looks["AION_text_embedding"].title == "AION text embedding model"
    assert style.posteriors_in_order(names[::-1])[:2] == ["photometry", "image"]
    with pytest.raises(ValueError, match="more colours than there are: draw fewer"):
        style.looks_of([f"{k}_embedding" for k in "abcd"])
    both = {name: np.arange(9.0) for name in ("image_embedding", "photometry")}
    texts = all_texts(draw(lambda: figures.model_comparison(both, both, source=SOURCE)))
    assert r"$\Delta \log p$, photometry model [nat]" in texts
    assert "image embedding higher: 0.0 %" in texts
    with pytest.raises(ValueError, match="compares two models, not photometry: give two"):
        figures.model_comparison({"photometry": [1.0]}, {"photometry": [1.0]}, source=SOURCE)


def test_models_of_different_properties_are_drawn_apart():
    catalogue, posteriors, _ = declared_data(2)
    others = posteriors | {"image": declared_data(1)[1]["photometry"]}
    with pytest.raises(ValueError, match="infers dn4000, log_age; the image model infers dn4000:"):
        figures.recovery(catalogue, others, source=SOURCE)


@pytest.mark.parametrize("n_properties", [1, 3, 8])
def test_the_explorer_has_the_declared_properties_and_bands(n_properties, tmp_path):
    catalogue, posteriors, images = declared_data(n_properties, n=30)
    declared = Declaration(properties=ODD[:n_properties], bands=("NUV", "W1"))
    catalogue = catalogue.assign(ra=1.0, dec=2.0, ebv=0.0, split="test", mag_NUV=19.0, mag_W1=18.0)
    if "redshift" not in catalogue:
        catalogue["redshift"] = 0.1
    catalogue.loc[:4, "dn4000"] = np.nan
    survey = Survey(catalogue, images, {"declaration": declared.content})
    data = explorer.explorer_data(survey, posteriors)
    explorer.write_explorer(data, images, posteriors, tmp_path)
    assert [p["name"] for p in data["properties"]] == list(declared.property_names)
    assert data["bands"] == ["NUV", "W1"]
    assert len(data["planes"]) == n_properties * (n_properties - 1) // 2
    assert data["galaxies"][0]["measured"][0] is None
    written = pd.read_csv(tmp_path / "draws" / "0.csv.gz")
    assert next(iter(written)) == "photometry_dn4000"


def test_tables_name_the_declared_properties_and_models():
    distance = {"posterior_mean": 0.01, "perfect": 0.02, "perfect_spread": 0.003}
    results = {"photometry": {"wasserstein": {p.name: distance for p in ODD}}}
    table = tables.wasserstein(results, ODD)
    assert list(table.index[:2]) == ["dn4000", "log_age [dex]"]
    wins = {"win_rate": 0.5, "standard_error": 0.01}
    change = {"difference": 0.1, "standard_error": 0.01, "wins": wins}
    compared = {
        metric: dict.fromkeys(("kde", "exact", "exact_kde_prior"), change)
        for metric in ("delta_log_p", "d_kl")
    }
    found = tables.comparison(compared, ("image_embedding", "photometry"))
    assert found.index[0] == "Δlog p: image embedding − photometry [nat]"


def test_replicated_photometry_shows_the_bands_that_were_checked():
    rng = np.random.default_rng(0)
    for bands in (["W1"], ["NUV", "g", "W1"]):
        checked = pd.DataFrame(rng.normal(0, 0.1, (3, len(bands))))
        checked.columns = [f"residual_{band}" for band in bands]
        checked = checked.assign(object_id=list("abc"), share_farther=0.5, is_doubtful=False)
        implied = 18 + rng.normal(0, 0.1, (3, 200, len(bands)))
        texts = all_texts(
            draw(lambda c=checked, i=implied: figures.replicated_photometry(i, c, source=SOURCE))
        )
        assert bands[len(bands) // 2] in texts
        assert len(bands) == 1 or "g−W1" in texts


def test_xarray_keeps_the_declaration_of_chosen_galaxies():
    _, posteriors, _ = declared_data(3)
    few = posteriors["photometry"].isel(object_id=slice(5))
    assert isinstance(few, xarray.Dataset)
    assert Declaration.of_posteriors(few).properties == ODD[:3]
