/* Pictures that the reader drags: the cloud of "What each measure sees" and the plane of the spectral family. What
   they show is computed here by measures.js from the data in the page; their state is in the address. */
(function () {
  "use strict";
  const VIRIDIS = ("44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725"
    .match(/../g).map((hex) => parseInt(hex, 16)));
  const INK = "#1a1a1a", FAINT = "#767676";

  function make(tag, attributes = {}, ...children) {
    const drawn = ["svg", "g", "circle", "line", "path", "polyline", "polygon", "rect", "text", "image", "tspan"].includes(tag);
    const made = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  }
  const text = (x, y, words, more = {}) => make("text", { x, y, "font-size": 12, fill: INK, ...more }, words);

  const COLOURS = Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (VIRIDIS.length / 3 - 1), left = 3 * Math.min(Math.floor(place), VIRIDIS.length / 3 - 2);
    return [0, 1, 2].map((k) => Math.round(VIRIDIS[left + k] + (place - left / 3) * (VIRIDIS[left + 3 + k] - VIRIDIS[left + k])));
  });
  const colour = (share) => COLOURS[Math.round(255 * Math.max(0, Math.min(1, share)))];
  const css = (share) => `rgb(${colour(share).join(" ")})`;
  const written = (value, digits = 2) => (Number.isNaN(value) ? "none" : value.toFixed(digits).replace("-", "−"));

  /* A picture's state and the controls that set it: a slider with a field to type in, a box or a list for each dial. */
  function controls(root, name, dials, draw) {
    const state = {}, set = {};
    const form = make("div", { class: "live-dials" });
    Object.entries(dials).forEach(([key, dial]) => {
      const id = `${name}-${key}`, label = make("label", { for: id }, dial.label), row = make("div", { class: "live-dial" }, label);
      if (dial.options) {
        const list = make("select", { id }, ...dial.options.map((option, i) => make("option", { value: i }, option)));
        row.append(list);
        set[key] = (value) => { list.value = value; };
        list.addEventListener("change", () => { change({ [key]: Number(list.value) }); commit(); });
      } else if (dial.box) {
        const box = make("input", { id, type: "checkbox" });
        row.append(box);
        set[key] = (value) => { box.checked = Boolean(value); };
        box.addEventListener("change", () => { change({ [key]: Number(box.checked) }); commit(); });
      } else {
        const limits = { min: dial.min, max: dial.max, step: dial.step };
        const slider = make("input", { id, type: "range", ...limits });
        const field = dial.words ? make("output", { for: id }) : make("input", { type: "number", "aria-label": `${dial.label}, as a number`, ...limits });
        row.append(slider, field);
        set[key] = (value) => {
          slider.value = value;
          if (dial.words) { field.textContent = dial.words(value); slider.setAttribute("aria-valuetext", dial.words(value)); }
          else if (document.activeElement !== field) field.value = value;
        };
        slider.addEventListener("input", () => change({ [key]: Number(slider.value) }));
        slider.addEventListener("change", commit);
        field.addEventListener("input", () => { if (field.value !== "") change({ [key]: Number(field.value) }); });
        field.addEventListener("change", () => { field.value = state[key]; commit(); });
      }
      form.append(row);
    });

    const start = Object.fromEntries(Object.entries(dials).map(([key, dial]) => [key, dial.start || 0]));
    function allowed(key, value) {
      const { min = 0, max = dials[key].options ? dials[key].options.length - 1 : 1, step = 1 } = dials[key];
      const near = Math.round(Math.min(max, Math.max(min, value)) / step) * step;
      return Number.isFinite(near) ? Number(near.toFixed(4)) : start[key];
    }
    let waiting = false;
    function change(values) {
      Object.entries(values).forEach(([key, value]) => { state[key] = allowed(key, value); set[key](state[key]); });
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; link.href = address(); draw(state); });
    }
    const link = make("a", { class: "live-link" }, "Link to this picture");
    const address = () => {
      const moved = Object.keys(dials).filter((key) => state[key] !== start[key]).map((key) => `${key}=${state[key]}`);
      return `#${name}?${moved.join("&")}`;
    };
    function commit() {
      try { history.replaceState(null, "", address()); } catch { /* some browsers allow none in files */ }
    }
    function read() {
      if (!location.hash.startsWith(`#${name}?`)) return false;
      const given = new URLSearchParams(location.hash.slice(name.length + 2));
      change({ ...start, ...Object.fromEntries([...given].filter(([key]) => key in dials).map(([key, value]) => [key, Number(value)])) });
      return true;
    }
    link.addEventListener("click", () => commit());
    addEventListener("hashchange", read);
    return { state, form, link, change, commit, start, begin() { if (read()) root.scrollIntoView(); else change(start); } };
  }

  /* Call `move` with the place in the drawing's own coordinates while something in it is dragged. */
  function dragged(grip, drawing, move, end) {
    grip.style.touchAction = "none";
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
      const go = ({ clientX, clientY }) => {
        const place = new DOMPoint(clientX, clientY).matrixTransform(drawing.getScreenCTM().inverse());
        move(place.x, place.y);
      };
      go(event);
      grip.addEventListener("pointermove", go);
      const stop = () => { grip.removeEventListener("pointermove", go); end(); };
      grip.addEventListener("pointerup", stop, { once: true });
      grip.addEventListener("pointercancel", stop, { once: true });
    });
  }

  function begin(kind, build) {
    const root = document.getElementById(`live-${kind}`);
    if (!root || root.classList.contains("is-live")) return; // a page may load this script for each of its pictures
    const moving = make("div", { class: "live-moving" });
    const started = build(root, moving, JSON.parse(root.querySelector("script[type='application/json']").textContent));
    root.append(moving);
    root.classList.add("is-live");
    started.begin();
  }

  // The cloud ------------------------------------------------------------------------------------------------
  const SIZE = 360, REACH = 4, ARM = 2.6;
  const TURNED = { turn: 40 };
  const PRESETS = {
    "as it was": {}, turned: TURNED, "units swapped": { swap: 1 }, moved: { right: 1, up: -0.6 }, "half as large": { first: 0.5, second: 0.5 },
    squeezed: { second: 0.2 }, flattened: { second: 0 }, noised: { noise: 0.3 }, mixed: { mixed: 1 },
  };

  begin("cloud", (root, moving, data) => {
    const dials = {
      turn: { label: "Turn (degrees)", min: -180, max: 180, step: 1 },
      first: { label: "Stretch unit 1", min: 0, max: 1.5, step: 0.05, start: 1 },
      second: { label: "Stretch unit 2", min: 0, max: 1.5, step: 0.05, start: 1 },
      right: { label: "Move right", min: -1.5, max: 1.5, step: 0.05 },
      up: { label: "Move up", min: -1.5, max: 1.5, step: 0.05 },
      noise: { label: "Add noise", min: 0, max: 2, step: 0.05 },
      mixed: { label: "Mix up inputs (share)", min: 0, max: 1, step: 0.05 },
      swap: { label: "Swap the two units", box: true },
    };
    const board = controls(root, "cloud", dials, draw), { state } = board;
    const nothing = Measures.scores(data.cloud, Measures.moved(data.cloud, data, { ...board.start, mixed: 1 }), data.deal);
    const x = (value) => SIZE / 2 + (SIZE / 2) * (value / REACH), y = (value) => SIZE / 2 - (SIZE / 2) * (value / REACH);
    const back = (px, py) => [(px / SIZE * 2 - 1) * REACH, (1 - py / SIZE * 2) * REACH];

    const drawing = make("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", class: "live-figure" });
    drawing.append(make("path", { d: `M0 ${SIZE / 2}H${SIZE}M${SIZE / 2} 0V${SIZE}`, stroke: "#e3e3e3" }),
      text(SIZE - 4, SIZE / 2 - 5, "unit 1", { "text-anchor": "end", fill: FAINT }), text(SIZE / 2 + 5, 14, "unit 2", { fill: FAINT }));
    data.cloud.forEach(([a, b]) => drawing.append(make("circle", { cx: x(a), cy: y(b), r: 2.5, fill: "none", stroke: "#b5b5b5" })));
    const frame = make("polygon", { fill: "none", stroke: FAINT, "stroke-dasharray": "3 3" });
    const points = data.cloud.map((_, i) => make("circle", { r: 4, fill: css(i / (data.cloud.length - 1)) }));
    drawing.append(frame, ...points);
    const grips = Object.fromEntries(["move", "turn", "stretch 1", "stretch 2"].map((name) => {
      const grip = make("g", { class: "live-grip" }, make("circle", { r: 22, fill: "transparent" }), make("circle", { r: 8 }),
        text(0, 21, name, { "text-anchor": "middle", "font-size": 11 }));
      grip.dataset.grip = name;
      drawing.append(grip);
      return [name, grip];
    }));

    const radians = () => (state.turn * Math.PI) / 180;
    const along = (px, py, angle) => {
      const [a, b] = back(px, py);
      return (a - state.right) * Math.cos(angle) + (b - state.up) * Math.sin(angle);
    };
    dragged(grips.move, drawing, (px, py) => { const [right, up] = back(px, py); board.change({ right, up }); }, board.commit);
    dragged(grips["stretch 1"], drawing, (px, py) => board.change({ first: along(px, py, radians()) / ARM }), board.commit);
    dragged(grips["stretch 2"], drawing, (px, py) => board.change({ second: along(px, py, radians() + Math.PI / 2) / ARM }), board.commit);
    dragged(grips.turn, drawing, (px, py) => {
      const [a, b] = back(px, py), corner = Math.atan2(Math.max(0.2, state.second), Math.max(0.2, state.first));
      const turn = ((Math.atan2(b - state.up, a - state.right) - corner) * 180) / Math.PI;
      board.change({ turn: turn > 180 ? turn - 360 : turn < -180 ? turn + 360 : turn });
    }, board.commit);

    const rows = data.measures.map((measure, i) => {
      const bar = make("div", { class: "live-bar" }, make("i"), make("b")), number = make("td", { class: "live-number" });
      const row = make("tr", {}, make("th", { scope: "row" }, measure.title + (measure.distance ? " (d)" : "")),
        make("td", {}, bar), number);
      if (i && measure.family !== data.measures[i - 1].family) row.className = "live-family";
      row.dataset.measure = measure.id;
      return { row, bar, number, measure };
    });
    const alike = (measure, value) => Math.max(0, Math.min(1, measure.distance ? 1 - value / measure.greatest : value)) || 0;
    rows.forEach(({ bar, measure }) => bar.style.setProperty("--floor", alike(measure, nothing[measure.id])));
    const scores = make("table", { class: "live-scores" }, make("caption", {},
      "Scores of the changed cloud against the original. (d): a distance, which is 0 where nothing has changed."),
    make("tbody", {}, ...rows.map(({ row }) => row)));
    const reading = make("p", { class: "live-reading", "aria-live": "polite" });
    const presets = make("div", { class: "live-presets", role: "group", "aria-label": "Changes to begin with" },
      ...Object.entries(PRESETS).map(([name, values]) => {
        const button = make("button", { type: "button" }, name);
        button.addEventListener("click", () => { board.change({ ...board.start, ...values }); board.commit(); });
        return button;
      }));
    moving.append(presets, make("div", { class: "live-columns" }, make("div", {}, drawing, board.form), make("div", {}, reading, scores)),
      make("p", { class: "take-away" }, board.link));

    function draw() {
      const cloud = Measures.moved(data.cloud, data, state), found = Measures.scores(data.cloud, cloud, data.deal);
      cloud.forEach(([a, b], i) => { points[i].setAttribute("cx", x(a)); points[i].setAttribute("cy", y(b)); });
      const turned = (a, b) => {
        const [c, s] = [Math.cos(radians()), Math.sin(radians())];
        return [x(c * a - s * b + state.right), y(s * a + c * b + state.up)];
      };
      const [a, b] = [state.first * ARM, state.second * ARM];
      frame.setAttribute("points", [[a, b], [-a, b], [-a, -b], [a, -b]].map(([p, q]) => turned(p, q).join()).join(" "));
      const corner = [Math.max(0.2, state.first) * ARM, Math.max(0.2, state.second) * ARM];
      const places = { move: turned(0, 0), turn: turned(...corner), "stretch 1": turned(a, 0), "stretch 2": turned(0, b) };
      Object.entries(places).forEach(([name, place]) => {
        const [px, py] = place.map((value) => Math.max(10, Math.min(SIZE - 26, value)));
        grips[name].setAttribute("transform", `translate(${px} ${py})`);
      });
      let same = 0;
      rows.forEach(({ row, bar, number, measure }) => {
        const value = found[measure.id], unchanged = Math.abs(value - measure.best) < data.unchanged;
        same += unchanged;
        row.classList.toggle("live-same", unchanged);
        bar.style.setProperty("--share", alike(measure, value));
        number.textContent = unchanged ? String(measure.best) : written(value);
        row.dataset.value = value;
      });
      reading.textContent = `${same} of ${rows.length} measures see no change.`;
      drawing.setAttribute("aria-label", `The cloud as changed (filled points) over the original (rings). ${reading.textContent}`);
    }
    return board;
  });

  // The plane of the spectral family ----------------------------------------------------------------------------
  const WIDE = 360, HIGH = 300, LEFT = 44, TOP = 14, RIGHT = 14, BOTTOM = 46, MOST = 1.5;
  const pOf = (inverse) => (inverse > 0 ? 1 / inverse : Infinity);
  const pWords = (inverse) => `p = ${inverse > 0 ? Number((1 / inverse).toFixed(2)) : "∞"}`;

  begin("plane", (root, moving, data) => {
    const dials = {
      pair: { label: "Pair", options: data.pairs.map(({ name }) => name) },
      alpha: { label: "α: how much variance counts", min: 0, max: MOST, step: 0.01, start: 1 },
      inverse: { label: "p: how many directions must agree", min: 0, max: 1, step: 0.01, start: 0.5, words: pWords },
    };
    const board = controls(root, "plane", dials, draw), { state } = board;
    const across = WIDE - LEFT - RIGHT, down = HIGH - TOP - BOTTOM;
    const x = (alpha) => LEFT + (across * alpha) / MOST, y = (inverse) => TOP + down * (1 - inverse);
    const axis = { "text-anchor": "middle" };
    const map = make("image", { x: LEFT, y: TOP, width: across, height: down, preserveAspectRatio: "none" });
    const plane = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", class: "live-figure live-plane" }, map,
      ...[0, 0.5, 1, 1.5].map((alpha) => text(x(alpha), HIGH - 30, alpha, axis)),
      ...[[1, "1"], [0.5, "2"], [0.25, "4"], [0, "∞"]].map(([inverse, words]) => text(LEFT - 8, y(inverse) + 4, words, { "text-anchor": "end" })),
      text(LEFT + across / 2, HIGH - 10, "α: how much variance counts", axis),
      text(12, TOP + down / 2, "p", axis));
    data.points.forEach(({ title, alpha, inverse, colour: fill }) => {
      const end = alpha === 0 ? "start" : "middle", px = x(alpha), py = y(inverse);
      plane.append(make("circle", { cx: px, cy: py, r: 6, fill, stroke: "white", "stroke-width": 1.5 }),
        text(px + (alpha === 0 ? 10 : 0), py + 20, title, { "text-anchor": end, class: "live-halo" }));
    });
    const dot = make("circle", { r: 9, fill: "none", stroke: "white", "stroke-width": 5 });
    const ring = make("circle", { r: 9, fill: "none", stroke: INK, "stroke-width": 2.5 });
    const surface = make("rect", { x: LEFT - 12, y: TOP - 12, width: across + 24, height: down + 24, fill: "transparent", class: "live-surface" });
    plane.append(dot, ring, surface);
    dragged(surface, plane, (px, py) => board.change({ alpha: ((px - LEFT) / across) * MOST, inverse: 1 - (py - TOP) / down }), board.commit);

    const weights = make("svg", { viewBox: `0 0 ${WIDE} 150`, role: "img", class: "live-figure" });
    const agree = make("svg", { viewBox: `0 0 ${WIDE} 150`, role: "img", class: "live-figure" });
    const reading = make("p", { class: "live-reading", "aria-live": "polite" });
    const presets = make("div", { class: "live-presets", role: "group", "aria-label": "Points with a name" },
      ...data.points.map(({ title, alpha, inverse }) => {
        const button = make("button", { type: "button" }, title);
        button.addEventListener("click", () => { board.change({ alpha, inverse }); board.commit(); });
        return button;
      }));
    moving.append(presets, make("div", { class: "live-columns" }, make("div", {}, plane, board.form), make("div", {}, reading, weights, agree)),
      make("p", { class: "take-away" }, board.link));

    /* The map of a pair, drawn once: values on a grid, between them straight lines, and where a tenth begins a white line. */
    const maps = new Map();
    function mapOf(pair) {
      if (maps.has(pair)) return maps.get(pair);
      const { x: a, y: b, overlap } = data.pairs[pair], columns = 31, lines = 41;
      const ps = Array.from({ length: lines }, (_, j) => pOf(j / (lines - 1)));
      const grid = Array.from({ length: columns }, (_, i) => Measures.spectral(a, overlap, b, (MOST * i) / (columns - 1), ps));
      const canvas = make("canvas", { width: 2 * across, height: 2 * down }), brush = canvas.getContext("2d");
      const pixels = brush.createImageData(canvas.width, canvas.height);
      pixels.data.fill(255);
      const value = (px, py) => {
        const u = (px / (canvas.width - 1)) * (columns - 1), v = (1 - py / (canvas.height - 1)) * (lines - 1);
        const i = Math.min(Math.floor(u), columns - 2), j = Math.min(Math.floor(v), lines - 2), du = u - i, dv = v - j;
        return (1 - du) * ((1 - dv) * grid[i][j] + dv * grid[i][j + 1]) + du * ((1 - dv) * grid[i + 1][j] + dv * grid[i + 1][j + 1]);
      };
      let above = [];
      for (let py = 0; py < canvas.height; py++) {
        const row = Array.from({ length: canvas.width }, (_, px) => value(px, py));
        row.forEach((v, px) => {
          const tenth = Math.floor(10 * v + 1e-9);
          const line = (px && Math.floor(10 * row[px - 1] + 1e-9) !== tenth) || (py && Math.floor(10 * above[px] + 1e-9) !== tenth);
          pixels.data.set(line ? [255, 255, 255] : colour(v), 4 * (py * canvas.width + px));
        });
        above = row;
      }
      brush.putImageData(pixels, 0, 0);
      maps.set(pair, canvas.toDataURL());
      return maps.get(pair);
    }

    function chart(svg, title, parts, label) {
      svg.replaceChildren(text(8, 16, title, { "font-weight": 600 }), make("path", { d: `M${LEFT} 28V126H${WIDE - RIGHT}`, fill: "none", stroke: FAINT }),
        text(LEFT - 8, 36, "1", { "text-anchor": "end" }), text(LEFT - 8, 128, "0", { "text-anchor": "end" }),
        text(LEFT + across / 2, 144, "directions, the strongest first", axis), ...parts);
      svg.setAttribute("aria-label", label);
    }

    function draw() {
      const { x: a, y: b, overlap, name } = data.pairs[state.pair], p = pOf(state.inverse);
      const picture = mapOf(state.pair);
      if (map.getAttribute("href") !== picture) map.setAttribute("href", picture);
      for (const circle of [dot, ring]) { circle.setAttribute("cx", x(state.alpha)); circle.setAttribute("cy", y(state.inverse)); }
      const [value] = Measures.spectral(a, overlap, b, state.alpha, [p]);
      const found = Measures.weighed(a, overlap, b, state.alpha), step = across / Math.max(a.length, b.length);
      const height = (v) => 126 - 98 * v;
      const line = (values, more) => make("polyline", { points: values.map((v, i) => `${LEFT + step * (i + 0.5)},${height(v)}`).join(" "), fill: "none", stroke: INK, ...more });
      chart(weights, "What each direction counts (α)", [line(found.a, { "stroke-width": 2 }), line(found.b, { "stroke-width": 2, "stroke-dasharray": "2 4" }),
        text(WIDE - RIGHT, 16, "— X  ··· Y", { "text-anchor": "end" })],
      `Weights of the directions of X and of Y at α = ${state.alpha}, from ${written(found.a[0])} to ${written(found.a.at(-1))} for X`);
      const top = found.values[0] || 1;
      chart(agree, "How well they agree, and what p lets count", found.values.flatMap((v, i) => {
        const left = LEFT + step * (i + 0.12), width = step * 0.76, counts = p === Infinity ? (v >= top * (1 - 1e-9) ? v : 0) : v * (v / top) ** (p - 1);
        return [make("rect", { x: left, width, y: height(counts), height: Math.max(0, 126 - height(counts)), fill: "#5a5a5a" }),
          make("rect", { x: left, width, y: height(v), height: Math.max(0, 126 - height(v)), fill: "none", stroke: INK })];
      }), `Agreement of the directions, from ${written(top)} to ${written(found.values.at(-1))}`);
      const near = data.points.find((point) => Math.abs(point.alpha - state.alpha) < 0.006 && Math.abs(point.inverse - state.inverse) < 0.006);
      reading.textContent = `α = ${written(state.alpha)}, ${pWords(state.inverse)}: s = ${written(value, 3)}${near ? `, ${near.title}` : ""}.`;
      reading.dataset.value = value;
      plane.setAttribute("aria-label", `Map of the spectral family for the pair ${name}. ${reading.textContent}`);
    }
    return board;
  });
})();
