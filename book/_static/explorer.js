// The page of single galaxies: a map to choose from, and what both models say of the chosen ones.
// galaxies.js holds the data (galcfm.figures.explorer writes it), Observable Plot draws.
(() => {
  "use strict";

  const root = document.getElementById("explorer");
  const data = window.galcfmGalaxies;
  if (!root) return;
  if (!data || !window.Plot) {
    root.textContent =
      "The galaxies of this page are written when the book is built by `make book`: they are not here.";
    return;
  }

  const { galaxies, properties } = data;
  const TITLES = { photometry: "Photometry model", image: "Image model" };
  const WAVELENGTHS = { u: 3551, g: 4686, r: 6166, i: 7480, z: 8932 }; // Å, of the SDSS bands
  const PLACES = { measured: "measured values", photometry: "means, photometry model", image: "means, image model" };
  const symbol = (k) => properties[k].label.replace(/ \[.*/, "");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const number = (value, digits = 2) =>
    value === null ? "–" : value.toFixed(digits).replace("-", "−");
  const rowOf = new Map(galaxies.map((galaxy, row) => [galaxy.id, row]));
  for (const property of properties) property.heights = bytes(property.measured);

  // What is shown ------------------------------------------------------------------------------

  const state = { map: 0, by: "measured", a: 0, b: null, chooses: "a" };

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    const messages = [];
    // Another place on the page, or none.
    if (!given.has("galaxy")) return "";
    for (const [slot, key] of [["a", "galaxy"], ["b", "with"]]) {
      if (!given.has(key)) {
        if (slot === "b") state.b = null;
        continue;
      }
      if (rowOf.has(given.get(key))) state[slot] = rowOf.get(given.get(key));
      else messages.push(`There is no galaxy ${given.get(key)} on this page.`);
    }
    const map = data.maps.findIndex((pair) => mapName(pair) === given.get("map"));
    if (map >= 0) state.map = map;
    const by = given.get("by") ?? "measured";
    if (Object.hasOwn(PLACES, by)) state.by = by;
    return messages.join(" ");
  }

  const mapName = ([x, y]) => `${properties[x].name}-${properties[y].name}`;

  function hash() {
    const view = new URLSearchParams({ galaxy: galaxies[state.a].id });
    if (state.b !== null) view.set("with", galaxies[state.b].id);
    view.set("map", mapName(data.maps[state.map]));
    if (state.by !== "measured") view.set("by", state.by);
    return `#${view}`;
  }

  // Parts of the page --------------------------------------------------------------------------

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function field(label, options, onchange) {
    const id = `explorer-${label.toLowerCase().replaceAll(" ", "-")}`;
    const select = element(
      "select", { id }, ...options.map(([value, text]) => element("option", { value }, text))
    );
    select.addEventListener("change", () => onchange(select.value));
    return [element("div", { class: "field" }, element("label", { for: id }, label), select), select];
  }

  const described = (galaxy) =>
    `${galaxy.id}: log M⋆ ${number(galaxy.measured[0])}, log SFR ${number(galaxy.measured[1])}`;
  const listed = galaxies.map((galaxy, row) => [row, described(galaxy)]);
  const [mapField, mapSelect] = field(
    "Map",
    data.maps.map(([x, y], k) => [k, `${symbol(x)} and ${symbol(y)}`]),
    (value) => { state.map = Number(value); show(); }
  );
  const [byField, bySelect] = field(
    "Galaxies stand at their",
    Object.entries(PLACES).filter(([by]) => by === "measured" || data.models.includes(by)),
    (value) => { state.by = value; show(); }
  );
  const [aField, aSelect] = field("Galaxy A", listed, (value) => choose(Number(value), "a"));
  const [bField, bSelect] = field(
    "Compare with galaxy B",
    [["", "none"], ...listed],
    (value) => choose(value === "" ? null : Number(value), "b")
  );

  const radios = ["a", "b"].map((slot) => {
    const radio = element("input", { type: "radio", name: "chooses", value: slot });
    radio.addEventListener("change", () => { state.chooses = slot; });
    return radio;
  });
  radios[0].checked = true;
  const chooses = element(
    "fieldset", {},
    element("legend", {}, "A click on the map chooses"),
    ...radios.map((radio) => element("label", {}, radio, `galaxy ${radio.value.toUpperCase()}`))
  );
  const map = element("div", {
    class: "map",
    tabindex: 0,
    role: "application",
    "aria-roledescription": "map of galaxies",
    "aria-describedby": "explorer-keys",
  });
  const keys = element(
    "p", { id: "explorer-keys" },
    "Click or tap the map, or move with the arrow keys while it has the focus, and with the lists above."
  );
  const said = element("p", { role: "status", "aria-live": "polite" });
  const shown = element("div", { class: "galaxies" });
  const mark = (inner) => {
    const made = element("span");
    made.innerHTML = `<svg width="22" height="14" aria-hidden="true">${inner}</svg>`;
    return made.firstChild;
  };
  const key = element(
    "ul", { class: "key" },
    element("li", {}, mark('<path d="M11 0V14" stroke="currentColor" stroke-width="2"/>'), "measured value"),
    element("li", {}, mark('<path d="M0 7H22" stroke="var(--photometry)" stroke-width="3" stroke-dasharray="5 3"/>'), "photometry model"),
    element("li", {}, mark('<path d="M0 7H22" stroke="var(--image)" stroke-width="3"/>'), "image model"),
    element("li", {}, mark('<rect y="2" width="22" height="11" fill="var(--population)" fill-opacity="0.3"/>'), "measured values of all galaxies")
  );
  root.replaceChildren(
    element("div", { class: "choices" }, mapField, byField),
    element("div", { class: "choices" }, aField, bField),
    chooses, map, keys, said, key, shown
  );

  // Choosing -----------------------------------------------------------------------------------

  function choose(row, slot = state.chooses) {
    state[slot] = row;
    show();
  }

  const place = (galaxy, k) =>
    state.by === "measured" ? galaxy.measured[k] : galaxy.models[state.by].mean[k];
  let pixels = []; // where each galaxy stands on the map

  map.addEventListener("click", (event) => {
    const [x, y] = d3.pointer(event, map.querySelector("svg"));
    const distance = ([px, py]) => Math.hypot(px - x, py - y);
    const nearest = d3.leastIndex(pixels, (a, b) => distance(a) - distance(b));
    if (distance(pixels[nearest]) < 40) choose(nearest);
  });

  map.addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!direction || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [x, y] = pixels[state[state.chooses] ?? state.a];
    // The nearest of those that lie more that way than to the side.
    let best = null;
    let least = Infinity;
    pixels.forEach(([px, py], row) => {
      const along = (px - x) * direction[0] + (py - y) * direction[1];
      const aside = Math.abs((px - x) * direction[1]) + Math.abs((py - y) * direction[0]);
      if (along > 0.01 && aside <= along && along + aside < least) {
        least = along + aside;
        best = row;
      }
    });
    if (best !== null) choose(best);
  });

  // Drawing ------------------------------------------------------------------------------------

  const axis = (k, more = {}) => ({
    label: properties[k].label, domain: properties[k].range, labelArrow: "none", ticks: 4, clamp: true, ...more,
  });

  function drawMap() {
    const [kx, ky] = data.maps[state.map];
    const width = Math.max(260, Math.min(704, root.clientWidth));
    const chosen = [["A", state.a], ["B", state.b]].filter(([, row]) => row !== null);
    const x = (row) => place(galaxies[row], kx);
    const y = (row) => place(galaxies[row], ky);
    const svg = Plot.plot({
      width,
      height: Math.round(Math.min(420, 0.75 * width)),
      marginLeft: 48,
      marginBottom: 40,
      style: { fontSize: "13px" },
      x: axis(kx, { labelAnchor: "center" }),
      y: axis(ky),
      marks: [
        Plot.frame({ strokeOpacity: 0.3 }),
        Plot.dot(d3.range(galaxies.length), {
          x, y, r: 3.5, fill: "var(--population)", fillOpacity: 0.75, title: (row) => described(galaxies[row]),
        }),
        Plot.dot(chosen, {
          x: (c) => x(c[1]), y: (c) => y(c[1]), r: 8, stroke: "currentColor", strokeWidth: 2.5, fill: "none",
        }),
        Plot.text(chosen, {
          x: (c) => x(c[1]), y: (c) => y(c[1]), text: (c) => c[0], dx: 15, dy: -9, fontSize: 15,
          fontWeight: "bold", fill: "currentColor", stroke: "var(--pst-color-background)", strokeWidth: 4,
        }),
      ],
    });
    svg.setAttribute("aria-hidden", "true");
    map.replaceChildren(svg);
    map.setAttribute(
      "aria-label",
      `Map of ${galaxies.length} galaxies, ${symbol(kx)} to the right and ${symbol(ky)} upwards`
    );
    const [sx, sy] = [svg.scale("x"), svg.scale("y")];
    pixels = galaxies.map((_, row) => [sx.apply(x(row)), sy.apply(y(row))]);
  }

  // Of its parts nothing is said: what they show stands in the words.
  function picture(svg, words) {
    for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", words);
    return svg;
  }

  function photometry(galaxy) {
    const points = data.bands.map((band, k) => ({
      band, wavelength: WAVELENGTHS[band], magnitude: galaxy.magnitudes[k], error: galaxy.magnitude_errors?.[k] ?? 0,
    }));
    const words = points.map((p) => `${p.band} ${number(p.magnitude)}`).join(", ");
    return picture(
      Plot.plot({
        width: 260, height: 190, marginLeft: 44, marginBottom: 36, marginTop: 24,
        style: { fontSize: "13px" },
        x: { label: "wavelength [Å]", domain: [3000, 9500], ticks: [4000, 6000, 8000], tickFormat: "d", labelAnchor: "center", labelArrow: "none" },
        y: { label: "AB magnitude", reverse: true, ticks: 4, labelArrow: "none", nice: true },
        marks: [
          Plot.line(points, { x: "wavelength", y: "magnitude", stroke: "currentColor", strokeOpacity: 0.4 }),
          Plot.ruleX(points, { x: "wavelength", y1: (p) => p.magnitude - p.error, y2: (p) => p.magnitude + p.error, stroke: "currentColor" }),
          Plot.dot(points, { x: "wavelength", y: "magnitude", r: 4, fill: "currentColor" }),
          Plot.text(points, { x: "wavelength", y: "magnitude", text: "band", dy: -12, fontSize: 13, fill: "currentColor" }),
        ],
      }),
      `Magnitudes: ${words}.`
    );
  }

  // A histogram as the corners of its outline.
  function outline(heights, [low, high]) {
    const step = (high - low) / heights.length;
    return Array.from(heights).flatMap((height, k) => [
      { x: low + k * step, height }, { x: low + (k + 1) * step, height },
    ]);
  }

  const told = (galaxy, k, model) => {
    const { median, interval } = galaxy.models[model];
    return `${number(median[k])}, 68 % from ${number(interval[0][k])} to ${number(interval[1][k])}`;
  };

  function marginal(galaxy, k) {
    const { range, heights } = properties[k];
    const under = { x: "x", y1: 0, y2: "height" };
    const marks = [Plot.areaY(outline(heights, range), { ...under, fill: "var(--population)", fillOpacity: 0.3 })];
    for (const model of data.models) {
      const all = bytes(galaxy.models[model].marginals);
      const drawn = outline(all.subarray(k * data.bins, (k + 1) * data.bins), range);
      const colour = `var(--${model})`;
      marks.push(
        Plot.areaY(drawn, { ...under, fill: colour, fillOpacity: 0.2 }),
        Plot.line(drawn, { x: "x", y: "height", stroke: colour, strokeWidth: 2, strokeDasharray: model === "photometry" ? "5 3" : null })
      );
    }
    marks.push(Plot.ruleX([galaxy.measured[k]], { stroke: "currentColor", strokeWidth: 2 }));
    const words = data.models.map((model) => `${TITLES[model]}: ${told(galaxy, k, model)}.`).join(" ");
    return picture(
      Plot.plot({
        width: 190, height: 120, marginLeft: 8, marginRight: 8, marginTop: 6, marginBottom: 36,
        style: { fontSize: "13px" },
        x: axis(k, { labelAnchor: "center" }),
        y: { axis: null },
        marks,
      }),
      `${symbol(k)}, measured ${number(galaxy.measured[k])}. ${words}`
    );
  }

  function plane(galaxy, [kx, ky]) {
    const [low, high] = galaxy.drawn;
    const marks = [
      Plot.dot(galaxies, { x: (g) => g.measured[kx], y: (g) => g.measured[ky], r: 1.5, fill: "var(--population)", fillOpacity: 0.35 }),
    ];
    for (const model of data.models) {
      const steps = bytes(galaxy.models[model].draws);
      const value = (row, k) => low[k] + ((high[k] - low[k]) * steps[5 * row + k]) / 255;
      const draws = d3.range(steps.length / 5).map((row) => ({ x: value(row, kx), y: value(row, ky) }));
      const colour = `var(--${model})`;
      const look = model === "photometry" ? { stroke: colour, fill: "none", strokeWidth: 1.2 } : { fill: colour, fillOpacity: 0.7 };
      marks.push(Plot.dot(draws, { x: "x", y: "y", r: 2.2, clip: true, ...look }));
    }
    marks.push(
      Plot.dot([galaxy], { x: (g) => g.measured[kx], y: (g) => g.measured[ky], symbol: "times", r: 7, stroke: "currentColor", strokeWidth: 3 })
    );
    const words = data.models
      .map((model) => `${TITLES[model]}: ${[kx, ky].map((k) => `${symbol(k)} ${told(galaxy, k, model)}`).join("; ")}.`)
      .join(" ");
    return picture(
      Plot.plot({
        width: 190, height: 190, marginLeft: 36, marginBottom: 36, marginTop: 22,
        style: { fontSize: "13px" },
        x: axis(kx, { labelAnchor: "center" }),
        y: axis(ky),
        marks: [Plot.frame({ strokeOpacity: 0.3 }), ...marks],
      }),
      `Draws of ${symbol(kx)} and ${symbol(ky)}; measured ${number(galaxy.measured[kx])} and ${number(galaxy.measured[ky])}. ${words}`
    );
  }

  function table(galaxy, name) {
    const cell = (text) => element("td", {}, text);
    const rows = properties.map((property, k) => {
      const error = galaxy.measured_errors?.[k];
      return element(
        "tr", {},
        element("th", { scope: "row", title: property.description }, property.label),
        cell(number(galaxy.measured[k]) + (error ? ` ± ${number(error)}` : "")),
        ...data.models.map((model) => {
          const { median, interval } = galaxy.models[model];
          const ends = `(${number(interval[0][k])} … ${number(interval[1][k])})`;
          return element("td", {}, `${number(median[k])} `, element("span", {}, ends));
        })
      );
    });
    if (data.models.every((model) => galaxy.models[model].delta_log_p !== undefined))
      rows.push(element(
        "tr", {},
        element("th", { scope: "row" }, "Δlog p [nat]"), cell(""),
        ...data.models.map((model) => cell(number(galaxy.models[model].delta_log_p)))
      ));
    const head = ["", "measured", ...data.models.map((model) => `${TITLES[model]} (68 %)`)];
    return element(
      "div", { class: "table-container", tabindex: 0, role: "region", "aria-label": `Numbers of ${name}` },
      element(
        "table", { class: "table" },
        element("thead", {}, element("tr", {}, ...head.map((text) =>
          text ? element("th", { scope: "col" }, text) : element("td")))),
        element("tbody", {}, ...rows)
      )
    );
  }

  function card(row, letter) {
    const galaxy = galaxies[row];
    const name = `galaxy ${letter}, ${galaxy.id}`;
    const image = element("img", {
      src: `${root.dataset.folder}/cutouts/${row}.jpg`,
      width: 128,
      height: 128,
      alt: `Colour cutout of ${name}, ${data.cutout_width}″ wide.`,
    });
    return element(
      "section", { class: "galaxy", "aria-label": name },
      element("h2", {}, `Galaxy ${letter}: ${galaxy.id}`),
      element("p", {}, `From: ${data.source}. Redshift ${number(galaxy.redshift, 3)}.`),
      element("div", { class: "seen" }, image, photometry(galaxy)),
      element("h3", {}, "Each property"),
      element("div", { class: "plots" }, ...properties.map((_, k) => marginal(galaxy, k))),
      element("h3", {}, "In pairs"),
      element("div", { class: "plots" }, ...data.maps.map((pair) => plane(galaxy, pair))),
      element("h3", {}, "In numbers"),
      table(galaxy, name)
    );
  }

  function show(message = "") {
    mapSelect.value = state.map;
    bySelect.value = state.by;
    aSelect.value = state.a;
    bSelect.value = state.b ?? "";
    drawMap();
    shown.replaceChildren(card(state.a, "A"), ...(state.b === null ? [] : [card(state.b, "B")]));
    said.textContent =
      message || `Galaxy A is ${described(galaxies[state.a])}.` +
      (state.b === null ? "" : ` Galaxy B is ${described(galaxies[state.b])}.`);
    history.replaceState(null, "", hash());
  }

  window.addEventListener("hashchange", () => show(readHash()));
  new ResizeObserver(drawMap).observe(root);
  show(readHash());
})();
