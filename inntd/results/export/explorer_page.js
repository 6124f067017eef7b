// The page: controls, sliders, and what follows them.

const data = JSON.parse(document.getElementById("data").textContent);
const model = new Model(data), picture = new Picture(document.getElementById("canvas"));
const axes = model.axes, $ = (id) => document.getElementById(id);
const POINTS = { curve: 401, map: 200 };
const state = {
  view: axes.length > 1 && data.along.length > 1 ? 2 : 1,
  across: data.along[0], up: data.along[1] ?? null,
  held: axes.map(middle), cursor: null, scale: null, tables: new Map(),
};

function middle(axis) {
  return axis.discrete ? 0 : (axis.domain[0] + axis.domain[1]) / 2;
}

function sampled(d, count) {
  const axis = axes[d], [low, high] = axis.domain;
  if (axis.discrete) return Array.from({ length: axis.size }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

// Rows of one axis are computed once for each number of points.
function table(d, count) {
  const key = `${d}:${count}`;
  if (!state.tables.has(key)) {
    const points = sampled(d, count);
    state.tables.set(key, { points, rows: model.rows(d, points) });
  }
  return state.tables.get(key);
}

function plotted() {
  return state.view === 2 ? [state.across, state.up] : [state.across];
}

function scaleOf(d) {
  const { domain: [low, high], discrete, size } = axes[d], label = labelled(axes[d]);
  if (!discrete) return { low, high, label };
  return { low: -0.5, high: size - 0.5, label, marks: ticks(0, size - 1, 8).filter(Number.isInteger) };
}

function scaled(values) {
  const own = extent(values);
  if (!$("hold").checked || state.scale === null) state.scale = opened(own);
  return { own, scale: state.scale };
}

function draw() {
  picture.begin();
  const { own, across } = state.view === 2 ? drawMap() : drawCurve();
  if (state.cursor !== null) picture.cross(state.cursor[0], state.view === 2 ? state.cursor[1] : pointedValue());
  picture.outline();
  describe(own, across);
  tell();
}

function drawCurve() {
  const d = state.across, { points, rows } = table(d, POINTS.curve), values = model.curve(d, rows, state.held);
  const { own, scale: [low, high] } = scaled(values), room = $("hold").checked ? 0 : (high - low) * 0.05;
  picture.frame(scaleOf(d), { low: low - room, high: high + room, label: data.name }, 18);
  picture.curve(points, values, axes[d].discrete);
  return { own, across: labelled(axes[d]) };
}

function drawMap() {
  const d = state.across, e = state.up, tableD = table(d, POINTS.map), tableE = table(e, POINTS.map);
  const values = model.map(d, tableD.rows, e, tableE.rows, state.held), { own, scale } = scaled(values);
  picture.frame(scaleOf(d), scaleOf(e), 100);
  picture.map(values, tableD.points.length, tableE.points.length, scale, !axes[d].discrete, !axes[e].discrete);
  picture.colourBar(scale, data.name);
  return { own, across: `${labelled(axes[d])} and ${labelled(axes[e])}` };
}

// ---- values under the pointer ---------------------------------------------------------------------------------------

function pointed() {
  const point = state.held.slice();
  plotted().forEach((d, i) => (point[d] = state.cursor[i]));
  return point;
}

function pointedValue() {
  return model.value(pointed());
}

function tell() {
  const shown = $("value"), point = state.cursor === null ? null : pointed();
  if (point === null) {
    shown.textContent = `${data.name}: point at the picture`;
    delete shown.dataset.value;
    return;
  }
  const value = model.value(point);
  const where = plotted().map((d) => `${axes[d].name} = ${worded(point[d])}${axes[d].unit ? ` ${axes[d].unit}` : ""}`);
  shown.textContent = `${data.name} = ${worded(value, 8)}   at ${where.join(", ")}`;
  shown.dataset.value = String(value);
}

function describe(own, across) {
  $("canvas").setAttribute("aria-label",
    `${state.view === 2 ? "Map" : "Curve"} of ${data.name} along ${across}, from ${worded(own[0])} to ${worded(own[1])}`);
  Object.assign($("canvas").dataset, { low: own[0], high: own[1] });
}

let speaking = 0;
function speak() { // to screen readers, when things have come to rest
  clearTimeout(speaking);
  speaking = setTimeout(() => ($("live").textContent = state.cursor === null ? $("canvas").ariaLabel : $("value").textContent), 500);
}

let waiting = false;
function follow() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
    speak();
  });
}

function settled(d, x) {
  const axis = axes[d], [low, high] = axis.domain, inside = Math.min(Math.max(x, low), high);
  return axis.discrete ? Math.round(inside) : inside;
}

function point(event) {
  const box = picture.canvas.getBoundingClientRect();
  const x = picture.fromX(event.clientX - box.left), y = picture.fromY(event.clientY - box.top);
  state.cursor = [settled(state.across, x), state.view === 2 ? settled(state.up, y) : 0];
  follow();
}

function step(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (event.key === "Escape") state.cursor = null;
  else if (event.key in moves) {
    const now = state.cursor ?? [middle(axes[state.across]), state.view === 2 ? middle(axes[state.up]) : 0];
    state.cursor = now.map((x, i) => {
      const d = plotted()[i];
      if (d === undefined) return 0;
      const { domain: [low, high], discrete } = axes[d], size = discrete ? 1 : (high - low) / (event.shiftKey ? 10 : 100);
      return settled(d, x + moves[event.key][i] * size);
    });
  } else return;
  event.preventDefault();
  follow();
}

// ---- controls -------------------------------------------------------------------------------------------------------

function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children); // text is text, whatever it says
  return made;
}

function slider(d) {
  const axis = axes[d], [low, high] = axis.domain, bounds = { min: low, max: high, step: axis.discrete ? 1 : "any" };
  const range = element("input", { type: "range", id: `axis${d}`, ...bounds });
  const number = element("input", { type: "number", id: `number${d}`, ...bounds, "aria-label": `${labelled(axis)}, exactly` });
  const put = (x, source) => {
    state.held[d] = settled(d, x);
    if (source !== range) range.value = state.held[d];
    if (source !== number) number.value = Number(worded(state.held[d], 8));
    range.setAttribute("aria-valuetext", `${worded(state.held[d])}${axis.unit ? ` ${axis.unit}` : ""}`);
    follow();
  };
  range.addEventListener("input", () => put(range.valueAsNumber, range));
  number.addEventListener("input", () => Number.isFinite(number.valueAsNumber) && put(number.valueAsNumber, number));
  number.addEventListener("change", () => (number.value = Number(worded(state.held[d], 8))));
  const unit = axis.unit ? [element("span", { class: "unit" }, ` [${axis.unit}]`)] : [];
  const name = element("label", { for: `axis${d}` }, axis.name, ...unit);
  const ends = element("div", { class: "ends", "aria-hidden": "true" }, element("span", {}, worded(low)), element("span", {}, worded(high)));
  put(state.held[d], null);
  return element("div", { class: "slider" }, element("div", { class: "head" }, name, number), range, ends);
}

function arrange() {
  const free = plotted(), rest = axes.map((_, d) => d).filter((d) => !free.includes(d));
  $("upRow").hidden = state.view === 1;
  $("across").value = state.across;
  $("up").value = state.up ?? "";
  $(`view${state.view}`).checked = true;
  $("sliders").replaceChildren(...rest.map(slider));
  $("heldTitle").hidden = $("reset").hidden = rest.length === 0;
  state.cursor = state.scale = null;
  follow();
}

function choose(which, d) {
  const other = which === "across" ? "up" : "across";
  if (state[other] === d) state[other] = state[which]; // the same axis twice: the two change places
  state[which] = d;
  arrange();
}

function bars() {
  if (data.indices.length === 0) return;
  const both = data.indices.some((share) => share.total !== null), percent = (x) => `${(100 * x).toFixed(1)} %`;
  const clipped = (x) => `width: ${100 * Math.min(Math.max(x, 0), 1)}%`;
  $("bars").hidden = false;
  $("barsHint").textContent = "Sobol' indices: each axis' share of the variance, alone" + (both ? " (full colour) and with its interactions (pale)" : "");
  for (const { name, first, total } of [...data.indices].sort((a, b) => (b.total ?? b.first) - (a.total ?? a.first))) {
    const track = element("div", { class: "track", "aria-hidden": "true" });
    for (const [kind, share] of [["total", total], ["first", first]]) {
      if (share === null) continue;
      const part = element("span", { class: kind });
      part.style.cssText = clipped(share);
      track.append(part);
    }
    const numbers = percent(first) + (total === null ? "" : `, with others ${percent(total)}`);
    $("barList").append(element("div", { class: "bar", role: "listitem" },
      element("span", { class: "name" }, name), track, element("span", { class: "numbers" }, numbers)));
  }
}

function start() {
  $("title").textContent = data.title;
  $("subtitle").textContent = `${data.name}(${axes.map((axis) => axis.name).join(", ")})`;
  $("about").textContent = data.about;
  $("made").textContent = `Written by inntd ${data.version}. Everything is computed in this page.`;
  for (const id of ["across", "up"]) {
    $(id).append(...axes.map((axis, d) => element("option", { value: d }, labelled(axis))));
    $(id).addEventListener("change", () => choose(id, Number($(id).value)));
  }
  if (axes.length === 1) $("view2").disabled = true;
  else state.up ??= state.across === 0 ? 1 : 0;
  for (const view of [1, 2])
    $(`view${view}`).addEventListener("change", () => {
      state.view = view;
      arrange();
    });
  $("hold").addEventListener("change", follow);
  $("reset").addEventListener("click", () => {
    state.held = axes.map(middle);
    arrange();
  });
  const canvas = $("canvas");
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // a finger leaves its mark
    state.cursor = null;
    follow();
  });
  canvas.addEventListener("keydown", step);
  new ResizeObserver(follow).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  bars();
  arrange();
}

start();
