/* The explorer: draws what the controls ask for from the data in the page. Needs plotly.js, asks no server. */
(function () {
  "use strict";
  const root = document.getElementById("explorer");
  if (!root || !window.Plotly) return;
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const part = (name) => document.getElementById(`explorer-${name}`);
  const CONTROLS = ["study", "network", "measure", "view", "layer", "density"];
  const [study, network, measure, view, layer, density] = CONTROLS.map(part);
  const settings = { responsive: true, displayModeBar: false };
  const reduced = (value) => (value === null ? "none" : (value / 1000).toFixed(3).replace("-", "−"));
  const current = () => data.studies[study.value];
  const chosen = () => current().networks[network.value];
  const scores = (who = network.value) => current().networks[who].views[view.value][measure.value];
  /* The row of a network's scores at the density that is chosen; another seed has one only. */
  const rowOf = (who) => (current().networks[who].rows.length > 1 ? level() : 0);

  function fill(select, names, labels) {
    const before = select.value;
    select.replaceChildren(...names.map((name, place) => new Option(labels[place], name)));
    if (names.includes(before)) select.value = before;
  }

  const level = () => Number(density.value);

  function colours() {
    const style = getComputedStyle(root);
    const get = (name) => style.getPropertyValue(name).trim();
    return { text: get("--pst-color-text-base"), ground: get("--pst-color-background"), muted: get("--pst-color-border") };
  }

  function layout(more) {
    const { text } = colours();
    const axis = { color: text, fixedrange: true, showgrid: false, zeroline: false, automargin: true };
    return {
      margin: { l: 10, r: 10, t: 10, b: 10 },
      font: { color: text, size: 13 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      dragmode: false,
      showlegend: false,
      hoverlabel: { align: "left" },
      ...more,
      xaxis: { ...axis, ...more.xaxis },
      yaxis: { ...axis, ...more.yaxis },
    };
  }

  const bar = (text) => ({
    orientation: "h", thickness: 12, len: 0.8, outlinewidth: 0, y: -0.26, yanchor: "top", title: { text, side: "bottom" },
  });

  function drawMap() {
    const { spectral, layers, densities } = current();
    const name = layers[Number(layer.value)];
    const place = spectral ? spectral.layers.indexOf(Number(layer.value)) : -1;
    const figure = part("map");
    const away = (other) => Math.abs(other - level());
    const mapped = spectral ? spectral.levels.reduce((best, other) => (away(other) < away(best) ? other : best)) : level();
    const where = `${name}, density ${densities[mapped]}`;
    const nearest = mapped === level() ? "" : ", the nearest for which a map is stored";
    part("map-title").textContent = `Spectral family of the pruned network: ${where}${nearest}`;
    figure.hidden = place < 0;
    if (place < 0) {
      const reason = spectral ? "for this layer" : "for this study";
      part("map-reading").textContent = `No map is stored ${reason}; the heatmap above has its scores.`;
      return;
    }
    const { alphas, ps } = spectral;
    const values = spectral.maps[spectral.levels.indexOf(mapped)][place].map((row) => row.map((v) => v / 1000));
    const inverse = ps.map((p) => (p === null ? 0 : 1 / p));
    const words = ps.map((p) => (p === null ? "∞" : String(Math.round(p * 100) / 100)));
    const text = values.map((row, j) => row.map((v, i) => `α = ${alphas[i]}, p = ${words[j]}<br>s = ${v.toFixed(3)}`));
    const marks = Object.entries(data.points).flatMap(([id, point]) => {
      const i = alphas.indexOf(point.alpha), j = ps.indexOf(point.p);
      if (i < 0 || j < 0) return [];
      const title = id === "linear_cka" ? `√(${point.title})` : point.title;
      return [{ ...point, title, y: inverse[j], value: values[j][i] }];
    });
    const plane = {
      type: "contour", x: alphas, y: inverse, z: values, text, hoverinfo: "text", colorscale: "Viridis", zmin: 0, zmax: 1,
      zauto: false, line: { color: "rgba(255,255,255,0.7)", width: 0.7 }, colorbar: bar("s(α, p)"),
      contours: { coloring: "heatmap", start: 0.1, end: 0.9, size: 0.1 },
    };
    const points = {
      type: "scatter", mode: "markers", cliponaxis: false,
      x: marks.map((mark) => mark.alpha), y: marks.map((mark) => mark.y), hoverinfo: "text",
      text: marks.map((mark) => `${mark.title}: ${mark.value.toFixed(3)}`),
      marker: {
        size: 13, color: marks.map((mark) => mark.colour), symbol: marks.map((mark) => mark.symbol),
        line: { color: "white", width: 1.5 },
      },
    };
    const labels = marks.map((mark) => ({
      x: mark.alpha, y: mark.y, text: `${mark.title} ${mark.value.toFixed(2)}`, showarrow: false, xanchor: mark.alpha ? "center" : "left",
      yanchor: "top", yshift: -10, xshift: mark.alpha ? 0 : 4, bgcolor: "rgba(255,255,255,0.88)", font: { color: "#1a1a1a", size: 12 },
    }));
    const ticks = [1, 2, 4, null].filter((p) => ps.includes(p));
    figure.style.height = "470px";
    Plotly.react(figure, [plane, points], layout({
      annotations: labels,
      xaxis: { title: { text: "α: how much variance counts", standoff: 8 } },
      yaxis: {
        title: { text: "p: how many directions must agree", standoff: 12 },
        tickvals: ticks.map((p) => (p === null ? 0 : 1 / p)), ticktext: ticks.map((p) => (p === null ? "∞" : String(p))),
      },
    }), settings);
    const all = values.flat();
    const said = marks.map((mark) => `${mark.title} ${mark.value.toFixed(2)}`).join(", ");
    part("map-reading").textContent =
      `${where}: ${said}. Over the whole plane, s runs from ${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)}.`;
    describe(figure, part("map-title").textContent + ". " + part("map-reading").textContent);
  }

  function cell(table, index) {
    const range = table.low && table.low[index] !== null && table.high[index] > table.low[index]
      ? ` (${reduced(table.low[index])} to ${reduced(table.high[index])})` : "";
    return { value: reduced(table.mean[index]), range, status: current().statuses[table.status[index]] };
  }
  const sound = (status) => status.split(";")[0] === "ok";

  function drawScores() {
    const { layers } = current();
    const { rows, title, seeds } = chosen();
    const table = scores(), figure = part("scores");
    part("scores-title").textContent = `${measure.selectedOptions[0].text}, view ${view.value}: ${title}, ${seeds === 1 ? "one seed" : `mean of ${seeds} seeds`}`;
    figure.hidden = !table;
    if (!table) {
      part("scores-reading").textContent = "This measure has no score for this network.";
      part("table").replaceChildren();
      return;
    }
    const at = (row, column) => row * layers.length + column;
    const isSound = (row, column) => sound(cell(table, at(row, column)).status);
    const places = rows.flatMap((_, row) => layers.map((_, column) => [row, column]));
    const known = places.filter(([row, column]) => isSound(row, column)).map(([row, column]) => table.mean[at(row, column)] / 1000);
    /* Colours are spent where scores are. */
    const [least, most] = table.distance ? [0, Math.max(...known, 0.001)] : [Math.min(0.4, ...known), 1];
    const values = rows.map((_, row) => layers.map((_, column) => (isSound(row, column) ? table.mean[at(row, column)] / 1000 : null)));
    const text = rows.map((share, row) => layers.map((name, column) => {
      const { value, range, status } = cell(table, at(row, column));
      return `${name}, density ${share}<br>${table.title}: ${value}${range}<br>status: ${status.replaceAll("; ", "<br>")}`;
    }));
    const marked = places.filter(([row, column]) => !isSound(row, column));
    const heat = {
      type: "heatmap", x: layers.map((_, i) => i), y: rows.map((_, i) => i), z: values, text, hoverinfo: "text",
      hoverongaps: true, colorscale: "Viridis", reversescale: table.distance, zmin: least, zmax: most, zauto: false, xgap: 1, ygap: 1,
      colorbar: { ...bar(`${table.distance ? "distance from" : "similarity to"} the dense network`), y: -0.32 },
    };
    const remarks = {
      type: "scatter", mode: "markers", hoverinfo: "skip", x: marked.map(([, column]) => column), y: marked.map(([row]) => row),
      marker: {
        symbol: marked.map(([row, column]) => (table.mean[at(row, column)] === null ? "x-thin-open" : "line-ne-open")), size: 9,
        color: "#4d4d4d", line: { width: 1.5 },
      },
    };
    const column = Number(layer.value), row = rowOf(network.value);
    const height = Math.max(320, 260 + 17 * rows.length);
    figure.style.height = `${height}px`;
    Plotly.react(figure, [heat, remarks], layout({
      height, // said again, for it changes with the network
      plot_bgcolor: "#d9d9d9",
      shapes: [{
        type: "rect", x0: column - 0.5, x1: column + 0.5, y0: row - 0.5, y1: row + 0.5, line: { color: "#e8590c", width: 3 },
      }],
      xaxis: { tickvals: layers.map((_, i) => i), ticktext: layers, tickangle: -60, range: [-0.5, layers.length - 0.5] },
      yaxis: {
        title: { text: "density", standoff: 12 }, tickvals: rows.map((_, i) => i), ticktext: rows, range: [rows.length - 0.5, -0.5],
      },
    }), settings);
    const { value, range, status } = cell(table, at(row, column));
    part("scores-reading").textContent =
      `${layers[column]}, density ${rows[row]}: ${value}${range}, status ${status}.` +
      (marked.length ? " Grey cells have a status that is not ok; a cross stands where there is no value." : "");
    describe(figure, part("scores-title").textContent + ". " + part("scores-reading").textContent);
    list(table, rows);
  }

  /* Every network of the study at one density, along its layers. */
  const LOOKS = {
    pruned: ["circle", true, "solid"], twin: ["circle-open", false, "solid"], held: ["diamond", "#f2b705", "solid"],
    regrown: ["square-open", false, "solid"], sibling: ["", "#a98300", "dash"],
  };
  function drawBeside() {
    const { layers, densities, networks } = current();
    const { text } = colours(), figure = part("beside"), column = Number(layer.value);
    const said = [];
    const lines = Object.entries(networks).flatMap(([who, { title }]) => {
      const table = scores(who);
      if (!table) return [];
      const [symbol, colour, dash] = LOOKS[who], ink = typeof colour === "string" ? colour : text;
      const cells = layers.map((_, place) => cell(table, rowOf(who) * layers.length + place));
      const means = layers.map((_, place) => table.mean[rowOf(who) * layers.length + place]);
      said.push(`${title} ${cells[column].value}${sound(cells[column].status) ? "" : "*"}`);
      return [{
        type: "scatter", mode: symbol ? "lines+markers" : "lines", name: title, x: layers.map((_, place) => place),
        y: means.map((value, place) => (value === null || !sound(cells[place].status) ? null : value / 1000)),
        text: cells.map(({ value, range, status }, place) => `${layers[place]}: ${value}${range}<br>${title}<br>status: ${status}`), hoverinfo: "text",
        line: { color: ink, width: 1.5, dash }, marker: { symbol, size: 9, color: ink, line: { width: 1.5, color: text } },
      }];
    });
    part("beside-title").textContent = `Side by side at density ${densities[level()]}: ${measure.selectedOptions[0].text}, view ${view.value}`;
    figure.style.height = "380px";
    const distance = scores("pruned").distance;
    Plotly.react(figure, lines, layout({
      showlegend: true, legend: { orientation: "h", y: -0.35, yanchor: "top" },
      shapes: [{ type: "line", x0: column, x1: column, yref: "paper", y0: 0, y1: 1, line: { color: "#e8590c", width: 1.5 } }],
      xaxis: { tickvals: layers.map((_, i) => i), ticktext: layers, tickangle: -60 },
      yaxis: { title: { text: distance ? "distance from the dense network" : "similarity to the dense network", standoff: 12 }, rangemode: distance ? "tozero" : "normal" },
    }), settings);
    part("beside-reading").textContent = `${layers[column]}: ${said.join("; ")}.` + (said.some((one) => one.endsWith("*")) ? " A star: the status is not ok, and the score is not drawn." : "");
    describe(figure, part("beside-title").textContent + ". " + part("beside-reading").textContent);
  }

  /* A picture for those who do not see it; the numbers follow it as text and as a table. */
  function describe(figure, words) {
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", words);
  }

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  }

  let address = null;
  function list(table, rows) {
    const { layers } = current();
    const made = element("table", "", { class: "dataframe" });
    const head = made.createTHead().insertRow();
    head.append(element("th", "density", { scope: "col" }), ...layers.map((name) => element("th", name, { scope: "col" })));
    const body = made.createTBody();
    const lines = ["study,network,view,measure,density,layer,mean,low,high,status"];
    rows.forEach((share, row) => {
      const line = body.insertRow();
      line.append(element("th", share, { scope: "row" }));
      layers.forEach((name, column) => {
        const index = row * layers.length + column;
        const { value, range, status } = cell(table, index);
        line.append(element("td", `${value}${range}${sound(status) ? "" : "*"}`, { title: status }));
        const number = (values) => (values && values[index] !== null ? values[index] / 1000 : "");
        const fields = [study.value, network.value, view.value, measure.value, share.replace(/\s/g, ""), name, number(table.mean),
          number(table.low || table.mean), number(table.high || table.mean), status];
        lines.push(fields.map((field) => `"${String(field).replaceAll('"', '""')}"`).join(","));
      });
    });
    part("table").replaceChildren(made);
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    part("download").href = address;
    part("download").download = `${study.value}-${network.value}-${measure.value}-${view.value}.csv`.replace(/[^\w.-]+/g, "-").toLowerCase();
  }

  function draw() {
    const text = current().densities[level()];
    part("density-text").textContent = text;
    density.setAttribute("aria-valuetext", text);
    drawScores();
    drawBeside();
    drawMap();
    remember();
  }

  /* What is chosen, by name, in the address, so that a lecturer can link to it. */
  const link = element("a", "Link to this choice", { class: "live-link" });
  function remember() {
    const state = { study: study.value, network: network.value, measure: measure.value, view: view.value, layer: layer.selectedOptions[0].text, density: current().densities[level()] };
    link.href = `#explorer?${new URLSearchParams(state)}`;
  }
  function commit() {
    try { history.replaceState(null, "", link.href); } catch { /* some browsers allow none in files */ }
  }
  function recall() {
    if (!location.hash.startsWith("#explorer?")) return;
    const given = new URLSearchParams(location.hash.slice("#explorer?".length));
    const choose = (list, wanted) => { const found = [...list.options].find((option) => option.text === wanted || option.value === wanted); if (found) list.value = found.value; };
    choose(study, given.get("study"));
    chooseStudy();
    choose(network, given.get("network"));
    choose(view, given.get("view"));
    chooseView();
    choose(layer, given.get("layer"));
    choose(measure, given.get("measure"));
    const wanted = current().densities.indexOf(given.get("density"));
    if (wanted >= 0) density.value = wanted;
    density.dataset.chosen = measure.dataset.chosen = "yes";
    draw();
    root.scrollIntoView();
  }

  function chooseView() {
    const measures = current().networks.pruned.views[view.value], names = Object.keys(measures);
    fill(measure, names, names.map((name) => measures[name].title));
    if (!measure.dataset.chosen && names.includes("linear_cka")) measure.value = "linear_cka";
    draw();
  }

  function chooseStudy() {
    const { layers, densities, networks } = current();
    const before = layer.selectedOptions[0]?.text;
    fill(layer, layers.map((_, place) => String(place)), layers);
    layer.value = String(layers.includes(before) ? layers.indexOf(before) : Math.max(0, layers.length - 2));
    density.max = densities.length - 1;
    const tenth = densities.map((share) => Math.abs(Math.log(parseFloat(share) / 10)));
    if (!density.dataset.chosen) density.value = tenth.indexOf(Math.min(...tenth));
    fill(network, Object.keys(networks), Object.values(networks).map(({ title }) => title));
    const views = Object.keys(networks.pruned.views);
    fill(view, views, views);
    chooseView();
  }

  root.querySelectorAll("[hidden]").forEach((hidden) => { hidden.hidden = false; });
  root.querySelector(".explorer-without").hidden = true;
  study.addEventListener("change", chooseStudy);
  view.addEventListener("change", chooseView);
  network.addEventListener("change", draw);
  layer.addEventListener("change", draw);
  density.addEventListener("input", () => { density.dataset.chosen = "yes"; draw(); });
  measure.addEventListener("change", () => { measure.dataset.chosen = "yes"; draw(); });
  for (const control of CONTROLS.map(part)) control.addEventListener("change", commit);
  part("download").parentElement.append(" · ", link);
  chooseStudy();
  recall();
  addEventListener("hashchange", recall);
  part("scores").on("plotly_click", ({ points: [point] }) => {
    if (point.curveNumber !== 0) return;
    layer.value = String(point.x);
    if (chosen().rows.length > 1) density.value = String(point.y);
    density.dataset.chosen = "yes";
    draw();
    commit();
  });
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
})();
