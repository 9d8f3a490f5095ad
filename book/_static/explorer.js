// The page of single galaxies: a map and a list to choose from, and what both models say.
// galaxies.js holds the data (galcfm.figures.explorer writes it); Observable Plot and D3 draw.
(() => {
  "use strict";

  const root = document.getElementById("explorer");
  const data = window.galcfmGalaxies;
  if (!root) return;
  if (!data || !window.Plot) {
    root.textContent = "The galaxies of this page are missing: `make book` writes them.";
    return;
  }

  const { galaxies, properties, models, planes } = data;
  const TITLES = { photometry: "Photometry model", image: "Image model" };
  const WAVELENGTHS = { u: 3551, g: 4686, r: 6166, i: 7480, z: 8932 }; // Å, of the SDSS bands
  const symbol = (k) => properties[k].label.replace(/ \[.*/, "");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const number = (value, digits = 2) =>
    value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
  const rowOf = new Map(galaxies.map((galaxy, row) => [galaxy.id, row]));
  for (const property of properties) property.heights = bytes(property.measured);

  // Quantities to sort, filter and colour by ---------------------------------------------------

  const both = models.includes("photometry") && models.includes("image");
  const width = (galaxy, model, k) => galaxy.models[model].interval[1][k] - galaxy.models[model].interval[0][k];
  const misses = (galaxy, k) => models.every((model) => {
    const [low, high] = galaxy.models[model].interval;
    return galaxy.measured[k] < low[k] || galaxy.measured[k] > high[k];
  });
  const flagged = (galaxy) => models.filter((model) => galaxy.models[model].outside).length;
  const QUANTITIES = [
    ...(both ? [["gain", "gain [nat]", (g) => difference(g.models.image.delta_log_p, g.models.photometry.delta_log_p)]] : []),
    ...models.map((model) => [`${model}-delta-log-p`, `Δlog p, ${model} model [nat]`, (g) => g.models[model].delta_log_p ?? null]),
    ...properties.map((p, k) => [p.name, p.label, (g) => g.measured[k]]),
    ...(both ? properties.map((p, k) => [`width-${p.name}`, `width of ${symbol(k)}, image over photometry`, (g) => width(g, "image", k) / width(g, "photometry", k)]) : []),
    ["missed", "properties outside the 68 % intervals of both models", (g) => d3.count(properties, (_, k) => (misses(g, k) ? 1 : NaN))],
    ["flag", "models whose range check flags the galaxy", flagged],
    ["redshift", "redshift", (g) => g.redshift],
    ["r", "r [mag]", (g) => g.magnitudes[data.bands.indexOf("r")]],
    ["colour", "g − r [mag]", (g) => difference(g.magnitudes[data.bands.indexOf("g")], g.magnitudes[data.bands.indexOf("r")])],
  ].map(([name, label, of]) => ({ name, label, of: (row) => of(galaxies[row]) }));
  const quantity = (name) => QUANTITIES.find((q) => q.name === name) ?? QUANTITIES[0];
  function difference(a, b) {
    return a === null || a === undefined || b === null || b === undefined ? null : Math.round(1e6 * (a - b)) / 1e6; // equal ones stay equal
  }

  // What is shown ------------------------------------------------------------------------------

  const PLACES = { measured: "measured values", photometry: "posterior means, photometry model", image: "posterior means, image model" };
  const START = { a: data.first, b: null, map: 0, by: "measured", tint: "", sort: QUANTITIES[0].name, down: true, only: "", from: null, to: null };
  let state = { ...START };
  let chooses = "a";
  let zoomed = d3.zoomIdentity;
  const mapName = ([x, y]) => `${properties[x].name}-${properties[y].name}`;

  // Return what is wrong with the address, or nothing.
  function readHash() {
    // Links from chapters are like #galaxy-ID: the theme takes every hash for a selector.
    const given = new URLSearchParams(location.hash.slice(1).replace(/^galaxy-/, "galaxy="));
    const known = ["galaxy", "with", "map", "by", "tint", "sort", "only"];
    if (!known.some((key) => given.has(key))) return ""; // another place on the page, or none
    const wrong = [];
    const next = { ...START };
    const pick = (key, allowed, otherwise) => (allowed.includes(given.get(key)) ? given.get(key) : otherwise);
    const names = QUANTITIES.map((q) => q.name);
    next.by = pick("by", Object.keys(PLACES).filter((by) => by === "measured" || models.includes(by)), "measured");
    next.tint = pick("tint", names, "");
    next.sort = pick("sort", names, START.sort);
    next.down = given.get("order") !== "up";
    next.only = pick("only", names, "");
    const limit = (key) => (next.only && given.has(key) && Number.isFinite(Number(given.get(key))) ? Number(given.get(key)) : null);
    [next.from, next.to] = [limit("from"), limit("to")];
    next.map = Math.max(0, planes.findIndex((pair) => mapName(pair) === given.get("map")));
    next.a = listed(next)[0] ?? START.a;
    if (!["sort", "only"].some((key) => given.has(key))) next.a = START.a;
    for (const [slot, key] of [["a", "galaxy"], ["b", "with"]]) {
      if (!given.has(key)) continue;
      if (rowOf.has(given.get(key))) next[slot] = rowOf.get(given.get(key));
      else wrong.push(`There is no galaxy ${given.get(key)} on this page.`);
    }
    state = next;
    return wrong.join(" ");
  }

  function hash() {
    const view = new URLSearchParams({ galaxy: galaxies[state.a].id });
    if (state.b !== null) view.set("with", galaxies[state.b].id);
    if (state.map) view.set("map", mapName(planes[state.map]));
    for (const key of ["by", "tint", "sort", "only"]) if (state[key] !== START[key]) view.set(key, state[key]);
    if (!state.down) view.set("order", "up");
    for (const key of ["from", "to"]) if (state[key] !== null) view.set(key, state[key]);
    return `#${view}`;
  }

  // Return the galaxies that pass the filter, sorted; those without a value come last.
  function listed({ sort, down, only, from, to }) {
    const value = quantity(sort).of;
    const limited = quantity(only).of;
    const passes = (row) => {
      if (!only) return true;
      const of = limited(row);
      return of !== null && (from === null || of >= from) && (to === null || of <= to);
    };
    const order = (row) => (value(row) === null ? Infinity : down ? -value(row) : value(row));
    return d3.range(galaxies.length).filter(passes).sort((i, j) => order(i) - order(j) || i - j);
  }

  // Parts of the page --------------------------------------------------------------------------

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function labelled(label, control) {
    control.id = `explorer-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
    return element("div", { class: "field" }, element("label", { for: control.id }, label), control);
  }

  function choice(label, options, onchange) {
    const select = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
    select.addEventListener("change", () => onchange(select.value));
    return [labelled(label, select), select];
  }

  function entry(label, key) {
    const input = element("input", { type: "number", step: "any" });
    input.addEventListener("change", () => set({ [key]: input.value === "" ? null : Number(input.value) }));
    return [labelled(label, input), input];
  }

  function button(text, act, more = {}) {
    const made = element("button", { type: "button", ...more }, text);
    made.addEventListener("click", act);
    return made;
  }

  const named = QUANTITIES.map((q) => [q.name, q.label]);
  const places = Object.entries(PLACES).filter(([by]) => by === "measured" || models.includes(by));
  const [mapField, mapSelect] = choice("Map", planes.map(([x, y], k) => [k, `${symbol(x)} and ${symbol(y)}`]), (value) => { zoomed = d3.zoomIdentity; set({ map: Number(value) }); });
  const [byField, bySelect] = choice("Plot galaxies at", places, (by) => set({ by }));
  const [tintField, tintSelect] = choice("Colour by", [["", "nothing"], ...named], (tint) => set({ tint }));
  const [sortField, sortSelect] = choice("Sort the lists by", named, (sort) => set({ sort }));
  const [orderField, orderSelect] = choice("Order", [["down", "highest first"], ["up", "lowest first"]], (order) => set({ down: order === "down" }));
  const [onlyField, onlySelect] = choice("Show only", [["", "all galaxies"], ...named], (only) => set({ only, from: null, to: null }));
  const [fromField, fromInput] = entry("From", "from");
  const [toField, toInput] = entry("To", "to");
  const [aField, aSelect] = choice("Galaxy A", [], (value) => choose(Number(value), "a"));
  const [bField, bSelect] = choice("Compare with galaxy B", [], (value) => choose(value === "" ? null : Number(value), "b"));

  const radios = ["a", "b"].map((slot) => {
    const radio = element("input", { type: "radio", name: "chooses", value: slot });
    radio.addEventListener("change", () => { chooses = slot; });
    return radio;
  });
  radios[0].checked = true;
  const slots = element(
    "fieldset", {},
    element("legend", {}, "The map and the buttons choose"),
    ...radios.map((radio) => element("label", {}, radio, `galaxy ${radio.value.toUpperCase()}`))
  );
  const step = (by) => {
    const rows = listed(state);
    if (!rows.length) return;
    const now = rows.indexOf(state[chooses] ?? state.a);
    choose(rows[(now + by + rows.length) % rows.length]);
  };
  const buttons = element(
    "div", { class: "buttons" },
    button("Previous", () => step(-1)),
    button("Next", () => step(1)),
    button("Random", () => {
      const rows = listed(state).filter((row) => row !== (state[chooses] ?? state.a));
      if (rows.length) choose(rows[Math.floor(Math.random() * rows.length)]);
    }),
    button("Copy link", copyLink),
    button("+", () => zoomBy(1.5), { "aria-label": "Zoom in" }),
    button("−", () => zoomBy(1 / 1.5), { "aria-label": "Zoom out" }),
    button("Whole map", () => zoomTo(d3.zoomIdentity))
  );
  const map = element("div", {
    class: "map", tabindex: 0, role: "group", "aria-roledescription": "map of galaxies", "aria-describedby": "explorer-keys",
  });
  const keys = element(
    "p", { id: "explorer-keys" },
    "Click or tap a galaxy. With the focus on the map, the arrow keys move to the nearest galaxy, + and − zoom, 0 shows the whole map, and the wheel zooms; two fingers zoom on a touch screen."
  );
  const said = element("p", { role: "status", "aria-live": "polite" });
  const shown = element("div", { class: "galaxies" });
  const mark = (inner) => {
    const made = element("span");
    made.innerHTML = `<svg width="26" height="14" aria-hidden="true">${inner}</svg>`;
    return made.firstChild;
  };
  const key = element(
    "ul", { class: "key" },
    element("li", {}, mark('<path d="M13 0V14" stroke="currentColor" stroke-width="2" stroke-dasharray="3 2"/>'), "measured value"),
    element("li", {}, mark('<rect y="1" width="26" height="12" fill="var(--photometry)" fill-opacity="0.35" stroke="var(--photometry)" stroke-width="2"/>'), "photometry model"),
    element("li", {}, mark('<path d="M0 7H26" stroke="var(--image)" stroke-width="3"/>'), "image model"),
    element("li", {}, mark('<rect y="2" width="26" height="11" fill="var(--population)" fill-opacity="0.3"/>'), "measured values of all galaxies"),
    element("li", {}, `contours hold ${data.levels.map((level) => `${100 * level} %`).join(" and ")} of the draws`)
  );
  const finder = element(
    "details", {},
    element("summary", {}, "Sort and filter the galaxies"),
    element("div", { class: "choices" }, sortField, orderField, onlyField, fromField, toField)
  );
  root.replaceChildren(
    element("div", { class: "choices" }, mapField, byField, tintField),
    finder, element("div", { class: "choices" }, aField, bField),
    slots, buttons, said, map, keys, key, shown
  );

  // Choosing -----------------------------------------------------------------------------------

  function set(changes) {
    state = { ...state, ...changes };
    history.pushState(null, "", hash());
    show();
  }

  function choose(row, slot = chooses) {
    set({ [slot]: row });
  }

  async function copyLink() {
    let done = "The link is copied.";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      done = `The browser does not let this page copy: the link is ${location.href}`;
    }
    said.textContent = done;
  }

  const place = (galaxy, k) =>
    state.by === "measured" ? galaxy.measured[k] : galaxy.models[state.by].mean[k];
  let pixels = new Map(); // position of each listed galaxy on the map

  map.addEventListener("click", (event) => {
    const [x, y] = d3.pointer(event, map.querySelector("svg"));
    const distance = ([, [px, py]]) => Math.hypot(px - x, py - y);
    const nearest = d3.least(pixels, (a, b) => distance(a) - distance(b));
    if (nearest && distance(nearest) < 40) choose(nearest[0]);
  });

  map.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "-" || event.key === "0") {
      event.preventDefault();
      if (event.key === "0") zoomTo(d3.zoomIdentity);
      else zoomBy(event.key === "+" ? 1.5 : 1 / 1.5);
      return;
    }
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!direction) return;
    event.preventDefault();
    const [x, y] = pixels.get(state[chooses] ?? state.a) ?? [0, 0];
    // The nearest of those that lie more that way than to the side.
    let best = null;
    let least = Infinity;
    for (const [row, [px, py]] of pixels) {
      const along = (px - x) * direction[0] + (py - y) * direction[1];
      const aside = Math.abs((px - x) * direction[1]) + Math.abs((py - y) * direction[0]);
      if (along > 0.01 && aside <= along && along + aside < least) {
        least = along + aside;
        best = row;
      }
    }
    if (best !== null) choose(best);
  });

  const zoom = d3.zoom().scaleExtent([1, 20])
    // The wheel and one finger scroll the page, unless the map has the focus.
    .filter((event) => (event.type === "wheel" ? document.activeElement === map || event.ctrlKey : event.touches ? event.touches.length > 1 : !event.button))
    .on("zoom", (event) => { zoomed = event.transform; drawMap(); });
  const mapSelection = d3.select(map).call(zoom).on("dblclick.zoom", null);
  map.style.touchAction = "pan-x pan-y";
  const zoomTo = (transform) => mapSelection.call(zoom.transform, transform);
  const zoomBy = (factor) => mapSelection.call(zoom.scaleBy, factor);

  // Drawing ------------------------------------------------------------------------------------

  const axis = (k, more = {}) => ({
    label: properties[k].label, domain: properties[k].range, labelArrow: "none", ticks: 4, clamp: true, ...more,
  });

  function drawMap() {
    const [kx, ky] = planes[state.map];
    const width = Math.max(260, Math.min(760, root.clientWidth));
    const height = Math.round(Math.min(440, 0.75 * width));
    const margin = { left: 52, right: 16, top: 24, bottom: 42 };
    zoom.extent([[0, 0], [width, height]]).translateExtent([[0, 0], [width, height]]);
    const x = (row) => place(galaxies[row], kx);
    const y = (row) => place(galaxies[row], ky);
    const clamped = (k, ends) => zoomed.k === 1 ? properties[k].range : ends;
    const wholeX = d3.scaleLinear(properties[kx].range, [margin.left, width - margin.right]);
    const wholeY = d3.scaleLinear(properties[ky].range, [height - margin.bottom, margin.top]);
    const rows = listed(state);
    const tinted = state.tint ? quantity(state.tint) : null;
    const values = tinted ? rows.map(tinted.of).filter((v) => v !== null).sort(d3.ascending) : [];
    const chosen = [["A", state.a], ["B", state.b]].filter(([, row]) => row !== null);
    const told = (row) => described(row) + (tinted ? `\n${tinted.label}: ${number(tinted.of(row))}` : "");
    const whole = zoomed.k === 1;
    const svg = Plot.plot({
      width, height, marginLeft: margin.left, marginRight: margin.right, marginTop: margin.top, marginBottom: margin.bottom,
      style: { fontSize: "13px" },
      x: axis(kx, { labelAnchor: "center", domain: clamped(kx, zoomed.rescaleX(wholeX).domain()), clamp: whole }),
      y: axis(ky, { domain: clamped(ky, zoomed.rescaleY(wholeY).domain()), clamp: whole }),
      color: { type: "linear", scheme: "viridis", domain: [d3.quantileSorted(values, 0.02) ?? 0, d3.quantileSorted(values, 0.98) ?? 1], clamp: true },
      marks: [
        Plot.frame({ strokeOpacity: 0.3 }),
        Plot.dot(rows, {
          x, y, r: 4, clip: true, fill: tinted ? (row) => tinted.of(row) ?? NaN : "var(--population)",
          fillOpacity: tinted ? 1 : 0.75, stroke: "var(--pst-color-background)", strokeWidth: 0.5,
        }),
        Plot.dot(chosen, { x: (c) => x(c[1]), y: (c) => y(c[1]), r: 9, clip: true, stroke: (c) => `var(--${c[0]})`, strokeWidth: 3, fill: "none" }),
        Plot.text(chosen, {
          x: (c) => x(c[1]), y: (c) => y(c[1]), text: (c) => c[0], dx: 16, dy: -10, clip: true, fontSize: 16,
          fontWeight: "bold", fill: (c) => `var(--${c[0]})`, stroke: "var(--pst-color-background)", strokeWidth: 4,
        }),
        Plot.tip(rows, Plot.pointer({ x, y, title: told, maxRadius: 30, fill: "var(--pst-color-background)", fontSize: 13 })),
      ],
    });
    svg.setAttribute("aria-hidden", "true");
    map.replaceChildren(svg);
    if (tinted) map.append(Plot.legend({ color: svg.scale("color"), label: tinted.label, width: Math.min(320, width), style: { fontSize: "13px" } }));
    map.setAttribute(
      "aria-label",
      `Map of ${rows.length} galaxies, ${symbol(kx)} to the right and ${symbol(ky)} upwards` + (tinted ? `, coloured by ${tinted.label}` : "")
    );
    const [sx, sy] = [svg.scale("x"), svg.scale("y")];
    pixels = new Map(rows.map((row) => [row, [sx.apply(x(row)), sy.apply(y(row))]]));
  }

  // The parts of a plot are hidden from screen readers: its label gives the numbers.
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

  // Return the corners of the outline of a histogram.
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
  const MEASURED = { stroke: "currentColor", strokeWidth: 1.5, strokeDasharray: "4 3" };

  // One axis of a panel: in a corner plot only the outer ones have labels.
  const side = (k, domain, outer) => ({
    ...axis(k, { domain, ticks: 3, labelAnchor: "center" }), ...(outer ? {} : { label: null, tickFormat: () => "" }),
  });

  function panel(galaxy, size, [kx, ky], domains, outer, marks, words) {
    const svg = Plot.plot({
      width: size.width + (outer.left ? size.left : 6), height: size.height + (outer.below ? 38 : 6),
      marginLeft: outer.left ? size.left : 3, marginRight: 3, marginTop: 3, marginBottom: outer.below ? 38 : 3,
      style: { fontSize: "12px" },
      x: side(kx, domains[kx], outer.below),
      y: ky === null ? { axis: null } : side(ky, domains[ky], outer.left),
      marks: [Plot.frame({ strokeOpacity: 0.25 }), ...marks],
    });
    return picture(svg, words);
  }

  function marginal(galaxy, k, size, domains, outer) {
    const { range, heights } = properties[k];
    const under = { x: "x", y1: 0, y2: "height", clip: true };
    const marks = [Plot.areaY(outline(heights, range), { ...under, fill: "var(--population)", fillOpacity: 0.3 })];
    for (const model of models) {
      const all = bytes(galaxy.models[model].marginals);
      const drawn = outline(all.subarray(k * data.bins, (k + 1) * data.bins), range);
      const colour = `var(--${model})`;
      if (model === "photometry") marks.push(Plot.areaY(drawn, { ...under, fill: colour, fillOpacity: 0.35 }));
      marks.push(Plot.line(drawn, { x: "x", y: "height", clip: true, stroke: colour, strokeWidth: model === "image" ? 2 : 1 }));
    }
    marks.push(Plot.ruleX([galaxy.measured[k]], MEASURED));
    const words = models.map((model) => `${TITLES[model]}: ${told(galaxy, k, model)}.`).join(" ");
    return panel(galaxy, size, [k, null], domains, outer, marks, `${symbol(k)}, measured ${number(galaxy.measured[k])}. ${words}`);
  }

  // Return the corners of the contours of a plane, each with the number of its contour.
  function contours(galaxy, model, plane, [kx, ky]) {
    const packed = bytes(galaxy.models[model].contours);
    const [low, high] = galaxy.drawn;
    const value = (stepped, k) => low[k] + ((high[k] - low[k]) * stepped) / 255;
    const corners = [];
    for (let at = 0, contour = 0; at < packed.length; at += 2 + 2 * packed[at + 1], contour += 1) {
      if (Math.floor(packed[at] / data.levels.length) !== plane) continue;
      for (let k = 0; k < packed[at + 1]; k += 1)
        corners.push({ x: value(packed[at + 2 + 2 * k], kx), y: value(packed[at + 3 + 2 * k], ky), contour });
    }
    return corners;
  }

  function pair(galaxy, plane, axes, size, domains, outer) {
    const [kx, ky] = axes;
    const marks = [];
    for (const model of models) {
      const flipped = planes[plane][0] !== kx;
      const corners = contours(galaxy, model, plane, planes[plane]).map((c) => (flipped ? { ...c, x: c.y, y: c.x } : c));
      const look = model === "photometry"
        ? { fill: "var(--photometry)", fillOpacity: 0.3, stroke: "var(--photometry)", strokeWidth: 1 }
        : { fill: "none", stroke: "var(--image)", strokeWidth: 2 };
      marks.push(Plot.line(corners, { x: "x", y: "y", z: "contour", curve: "catmull-rom-closed", clip: true, ...look }));
    }
    marks.push(Plot.ruleX([galaxy.measured[kx]], MEASURED), Plot.ruleY([galaxy.measured[ky]], MEASURED));
    const words = models
      .map((model) => `${TITLES[model]}: ${axes.map((k) => `${symbol(k)} ${told(galaxy, k, model)}`).join("; ")}.`)
      .join(" ");
    return panel(
      galaxy, size, axes, domains, outer, marks,
      `Contours of ${symbol(kx)} and ${symbol(ky)}; measured ${number(galaxy.measured[kx])} and ${number(galaxy.measured[ky])}. ${words}`
    );
  }

  // Return limits of each property that hold the contours of the galaxies on view.
  function shownDomains(rows) {
    return properties.map((_, k) => {
      const ends = rows.flatMap((row) => [galaxies[row].drawn[0][k], galaxies[row].drawn[1][k], galaxies[row].measured[k]]);
      return d3.extent(ends);
    });
  }

  // A corner plot where it fits, else the histograms and all pairs one after another.
  function posteriors(galaxy, space, domains) {
    const find = (x, y) => planes.findIndex(([a, b]) => (a === x && b === y) || (a === y && b === x));
    if (space >= 430) {
      const left = 50;
      const panelWidth = Math.floor((space - left - 5 * 6) / 5);
      const size = { width: panelWidth, height: panelWidth, left };
      const grid = element("div", { class: "corner" });
      for (let y = 0; y < 5; y += 1)
        for (let x = 0; x <= y; x += 1) {
          const outer = { left: x === 0 && y > 0, below: y === 4 };
          const made = x === y ? marginal(galaxy, x, size, domains, outer) : pair(galaxy, find(x, y), [x, y], size, domains, outer);
          made.style.gridArea = `${y + 1} / ${x + 1}`;
          made.style.justifySelf = "end";
          grid.append(made);
        }
      return grid;
    }
    const size = { width: Math.floor(space / 2) - 60, height: Math.floor(space / 2) - 60, left: 46 };
    const outer = { left: true, below: true };
    return element(
      "div", { class: "plots" },
      ...properties.map((_, k) => marginal(galaxy, k, { ...size, left: 6 }, domains, outer)),
      ...planes.map((axes, plane) => pair(galaxy, plane, axes, size, domains, outer))
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
        ...models.map((model) => {
          const { median, interval } = galaxy.models[model];
          const ends = `(${number(interval[0][k])} … ${number(interval[1][k])})`;
          return element("td", {}, `${number(median[k])} `, element("span", {}, ends));
        })
      );
    });
    if (models.every((model) => galaxy.models[model].delta_log_p !== undefined))
      rows.push(element(
        "tr", {},
        element("th", { scope: "row" }, "Δlog p [nat]"), cell(""),
        ...models.map((model) => cell(number(galaxy.models[model].delta_log_p)))
      ));
    rows.push(element(
      "tr", {},
      element("th", { scope: "row" }, "flagged by the range check"), cell(""),
      ...models.map((model) => cell(galaxy.models[model].outside ? "yes" : "no"))
    ));
    const head = ["", "measured", ...models.map((model) => `${TITLES[model]}: median (68 %)`)];
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

  function cutout(row, name) {
    const files = root.dataset.folder;
    const image = element("img", {
      src: `${files}/cutouts/${row}.jpg`, width: 128, height: 128,
      alt: `Colour cutout of ${name}, ${data.cutout_width}″ wide.`,
    });
    const bar = element("span", { class: "bar", style: `width: ${(1000 / data.cutout_width).toFixed(1)}%` }, "10″");
    return element("div", { class: "cutout" }, image, bar);
  }

  function card(row, letter, space, domains) {
    const galaxy = galaxies[row];
    const name = `galaxy ${letter}, ${galaxy.id}`;
    const gain = both ? quantity("gain").of(row) : null;
    const download = element("a", { href: `${root.dataset.folder}/draws/${row}.csv.gz`, download: `${galaxy.id}.csv.gz` }, `Download ${data.n_draws} draws of each model (CSV, gzip)`);
    return element(
      "section", { class: `galaxy ${letter}`, "aria-label": name },
      element("h2", {}, `Galaxy ${letter}: ${galaxy.id}`),
      element("p", {}, `From: ${data.source}. Redshift ${number(galaxy.redshift, 3)}.` + (gain === null ? "" : ` Gain of the image model: ${number(gain)} nat.`)),
      element("div", { class: "seen" }, cutout(row, name), photometry(galaxy)),
      element("h3", {}, "Posteriors"),
      posteriors(galaxy, space, domains),
      element("h3", {}, "In numbers"),
      table(galaxy, name),
      element("p", {}, download)
    );
  }

  function described(row) {
    const galaxy = galaxies[row];
    return `${galaxy.id}: log M⋆ ${number(galaxy.measured[0])}, log SFR ${number(galaxy.measured[1])}`;
  }

  function drawCards() {
    const rows = [state.a, ...(state.b === null ? [] : [state.b])];
    const full = root.clientWidth;
    const space = rows.length === 2 && full >= 640 ? (full - 32) / 2 : full;
    const domains = shownDomains(rows);
    shown.classList.toggle("beside", space < full);
    shown.replaceChildren(...rows.map((row, k) => card(row, "AB"[k], Math.min(space, 720), domains)));
  }

  function fillLists() {
    const rows = listed(state);
    const sorted = quantity(state.sort);
    const text = (row) => `${galaxies[row].id}: ${sorted.label} ${number(sorted.of(row))}`;
    for (const [select, row, none] of [[aSelect, state.a, []], [bSelect, state.b, [["", "none"]]]]) {
      // A chosen galaxy stays in the list even where the filter leaves it out.
      const kept = row === null || rows.includes(row) ? rows : [row, ...rows];
      const options = [...none, ...kept.map((r) => [r, text(r)])];
      select.replaceChildren(...options.map(([value, label]) => element("option", { value }, label)));
      select.value = row ?? "";
    }
  }

  function show(message = "") {
    mapSelect.value = state.map;
    bySelect.value = state.by;
    tintSelect.value = state.tint;
    sortSelect.value = state.sort;
    orderSelect.value = state.down ? "down" : "up";
    onlySelect.value = state.only;
    fromInput.value = state.from ?? "";
    toInput.value = state.to ?? "";
    fromInput.disabled = toInput.disabled = !state.only;
    // What a link sorts or filters by is on view.
    if (state.only || state.sort !== START.sort) finder.open = true;
    fillLists();
    drawMap();
    drawCards();
    const few = state.only ? ` ${listed(state).length} of ${galaxies.length} galaxies pass the filter.` : "";
    said.textContent =
      message || `Galaxy A is ${described(state.a)}.` +
      (state.b === null ? "" : ` Galaxy B is ${described(state.b)}.`) + few;
    said.classList.toggle("wrong", Boolean(message));
  }

  function follow() {
    const message = readHash();
    history.replaceState(null, "", hash());
    show(message);
  }

  window.addEventListener("popstate", follow);
  // Buttons, since the theme takes the hash of every link for the name of an element.
  document.addEventListener("click", (event) => {
    const view = event.target.closest("[data-view]")?.dataset.view;
    if (!view) return;
    history.pushState(null, "", `#${view}`);
    follow();
    root.scrollIntoView();
  });
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (root.clientWidth === drawnWidth) return;
    drawnWidth = root.clientWidth;
    drawMap();
    drawCards();
  }).observe(root);
  follow();
})();
