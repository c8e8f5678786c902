"use strict";
// The map: thousands of points, so packed columns and a canvas. It is redrawn when the colour changes.
const NEAR = 20; // points that are listed

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function pointsOf(map) {
  if (map.points) return map.points;
  const x = unpack(map.x, Uint16Array), y = unpack(map.y, Uint16Array), ids = unpack(map.ids, Uint8Array), wide = ids.length / x.length;
  const columns = map.columns.map((column) => ({...column, values: unpack(column.packed, Uint16Array)}));
  map.points = Array.from(x, (_, at) => {
    const point = {x: x[at], y: y[at], id: ""};
    for (let byte = 0; byte < wide; byte += 1) point.id += ids[at * wide + byte].toString(16).padStart(2, "0");
    for (const column of columns) {
      const value = column.values[at];
      point[column.key] = column.names ? column.names[value] : value === 65535 ? null : value / 1000;
    }
    return point;
  });
  return map.points;
}

async function drawMap(box) {
  const map = page.map, select = box.querySelector("select"), place = box.querySelector("[data-map-chart]");
  if (!select.options.length) {
    for (const column of map.columns.filter((each) => each.colour)) select.append(make("option", {value: column.key}, column.title));
    select.addEventListener("change", () => drawMap(box));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawMap(box));
    box.querySelector(".near").addEventListener("toggle", () => listNear(box));
    startRegion(box);
    for (const button of box.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoom(place.view, Number(button.dataset.zoom)).then(() => listNear(box)));
  }
  const chosen = map.columns.find((column) => column.key === select.value), room = place.clientWidth;
  const spec = structuredClone(chosen.names ? map.categories : map.rates);
  spec.width = room - 4;
  spec.height = Math.max(300, Math.min(620, room * 0.62));
  const points = pointsOf(map).map((point) => ({...point, colour: point[chosen.key]}));
  spec.datasets = {rows: chosen.names ? points : points.filter((point) => point.colour !== null)};
  spec.mark.size = points.length > 4000 ? 12 : 34;
  const config = structuredClone(page.config), ink = getComputedStyle(document.body).color;
  for (const name of ["labelColor", "titleColor"]) config.legend[name] = ink;
  config.legend.columns = Math.max(1, Math.floor(room / 165));
  config.legend.labelLimit = 140;
  try {
    await embed(place, spec, config, "canvas");
    listNear(box);
    setRegion(box, box.corners);
    for (const name of ["view_x", "view_y"]) place.view.addSignalListener(name, () => drawRegion(box));
    place.view.addEventListener("click", (event, item) => { if (item?.datum?.id) pick(box, item.datum); });
  } catch (problem) {
    place.textContent = "The map could not be drawn.";
    console.error("map", problem);
  }
}

function zoom(view, factor) {
  const range = page.map.range;
  for (const name of ["view_x", "view_y"]) {
    const now = factor ? view.signal(name) ?? range : range, middle = (now[0] + now[1]) / 2, half = ((now[1] - now[0]) / 2) * (factor || 1);
    view.signal(name, factor ? [middle - half, middle + half] : null);
  }
  return view.runAsync();
}

function listNear(box) {
  // The points nearest to the middle, as buttons: they can be picked by keyboard.
  const near = box.querySelector(".near"), view = box.querySelector("[data-map-chart]").view;
  if (!near.open || !view) return;
  const [[left, right], [low, high]] = ["x", "y"].map((axis) => view.scale(axis).domain().toSorted((one, other) => one - other));
  const far = (point) => Math.hypot((2 * point.x - left - right) / (right - left), (2 * point.y - low - high) / (high - low));
  const inside = view.data("rows").filter((point) => point.x >= left && point.x <= right && point.y >= low && point.y <= high);
  const first = inside.map((point) => [far(point), point]).sort(([one], [other]) => one - other).slice(0, NEAR);
  near.querySelector("ol").replaceChildren(...first.map(([, point]) =>
    make("li", {}, make("button", {type: "button", onclick: () => pick(box, point)}, point.id), ` ${describe(point)}`)));
}

function describe(point) {
  return page.map.columns.filter((column) => column.names).map((column) => `${column.title}: ${point[column.key]}`).join(", ");
}

function pick(box, point) {
  const place = box.querySelector(".picked"), code = make("code");
  code.textContent = point.id;
  place.replaceChildren(code, ` ${describe(point)} `);
  const button = revealer(point.id, (text) => { place.append(text); return text; });
  if (button) place.append(button);
}
