"use strict";
// A region of the map: drawn with the mouse, or moved and resized with the arrow keys. The ids in it are saved as a file.
const STEP = 0.04, FIRST_SIZE = 0.2, APART = 3; // of the width and height in view; of the view; pixels between corners
const WAYS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1]};

function axes(box) {
  // Of both axes: the scale, its domain, and where the drawing starts on the overlay, in pixels.
  const view = box.querySelector("[data-map-chart]").view, padding = view.padding(), [left, top] = view.origin();
  const canvas = box.querySelector("canvas").getBoundingClientRect(), overlay = box.querySelector(".region").getBoundingClientRect();
  const starts = {x: canvas.left - overlay.left + padding.left + left, y: canvas.top - overlay.top + padding.top + top};
  return ["x", "y"].map((name) => {
    const scale = view.scale(name), [low, high] = scale.domain().toSorted((one, other) => one - other);
    return {scale, low, high, start: starts[name]};
  });
}

function isInside([x, y], corners) {
  let inside = false;
  corners.forEach(([x1, y1], at) => {
    const [x2, y2] = corners.at(at - 1);
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)) inside = !inside;
  });
  return inside;
}

function idsInRegion(box) {
  const corners = box.corners, rows = box.querySelector("[data-map-chart]").view.data("rows");
  return corners.length < 3 ? [] : rows.filter((point) => isInside([point.x, point.y], corners)).map((point) => point.id).sort();
}

function drawRegion(box) {
  const both = axes(box), place = (corner) => both.map(({scale, start}, at) => (start + scale(corner[at])).toFixed(1)).join(",");
  box.querySelector(".region polygon").setAttribute("points", box.corners.map(place).join(" "));
}

function setRegion(box, corners) {
  box.corners = corners;
  drawRegion(box);
  const count = idsInRegion(box).length, all = box.querySelector("[data-map-chart]").view.data("rows").length;
  box.querySelector(".region-count").textContent = corners.length ? `${count.toLocaleString("en")} of ${all.toLocaleString("en")} points` : "";
  box.querySelector("[data-region=save]").disabled = !count;
  box.querySelector("[data-region=clear]").disabled = !corners.length;
}

function moveRegion(box, way, extend) {
  const both = axes(box), sizes = both.map(({low, high}) => high - low);
  if (!box.corners.length) {
    const [xs, ys] = both.map(({low, high}, at) => [-1, 1].map((side) => (low + high + side * sizes[at] * FIRST_SIZE) / 2));
    setRegion(box, [[xs[0], ys[0]], [xs[1], ys[0]], [xs[1], ys[1]], [xs[0], ys[1]]]);
    return;
  }
  const moved = both.map(({low, high}, at) => {
    const values = box.corners.map((corner) => corner[at]), from = Math.min(...values), to = Math.max(...values), step = way[at] * STEP * sizes[at];
    if (!extend) {
      const by = Math.min(Math.max(step, low - to + STEP * sizes[at]), high - from - STEP * sizes[at]); // a part stays in view
      return values.map((value) => value + by);
    }
    const factor = Math.max(to - from + step, STEP * sizes[at]) / Math.max(to - from, 1e-9);
    return values.map((value) => from + (value - from) * factor);
  });
  setRegion(box, box.corners.map((_, at) => [moved[0][at], moved[1][at]]));
}

function saveRegion(box) {
  const text = `prompt_id\r\n${idsInRegion(box).join("\r\n")}\r\n`;
  const link = make("a", {href: URL.createObjectURL(new Blob([text], {type: "text/csv"})), download: `${page.version}-region.csv`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function startRegion(box) {
  const overlay = box.querySelector(".region"), toggle = box.querySelector("[data-region=draw]");
  let trail = null;
  box.corners = [];
  toggle.addEventListener("click", () => {
    const on = overlay.classList.toggle("on");
    toggle.setAttribute("aria-pressed", String(on));
    if (on) { overlay.setAttribute("tabindex", "0"); overlay.focus({preventScroll: true}); } else overlay.removeAttribute("tabindex");
  });
  box.querySelector("[data-region=clear]").addEventListener("click", () => { setRegion(box, []); toggle.focus(); });
  box.querySelector("[data-region=save]").addEventListener("click", () => saveRegion(box));
  overlay.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = WAYS[event.key];
    if (way) moveRegion(box, way, event.shiftKey);
    else if (event.key === "Escape") setRegion(box, []);
    else return;
    event.preventDefault();
  });
  const spot = (event) => { const edge = overlay.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
  const toMap = (pixels) => axes(box).map(({scale, start}, at) => scale.invert(pixels[at] - start));
  overlay.addEventListener("pointerdown", (event) => {
    if (event.button || !overlay.classList.contains("on")) return;
    overlay.setPointerCapture(event.pointerId);
    trail = [spot(event)];
    setRegion(box, []);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!trail) return;
    const [x, y] = spot(event), [lastX, lastY] = trail.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < APART) return;
    trail.push([x, y]);
    box.corners = trail.map(toMap);
    drawRegion(box);
  });
  for (const name of ["pointerup", "pointercancel"]) overlay.addEventListener(name, () => {
    if (trail) setRegion(box, trail.length > 2 ? box.corners : []);
    trail = null;
  });
}
