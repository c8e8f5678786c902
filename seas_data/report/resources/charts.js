"use strict";
// The charts: Vega-Lite, whose expressions are interpreted (ast) and never compiled, because the page forbids eval.
async function embed(place, spec, config, renderer) {
  const warn = console.warn;
  console.warn = () => {}; // warnings about sizes concern charts.py; errors are thrown
  try {
    place.view?.finalize();
    place.replaceChildren();
    place.view = (await vegaEmbed(place, spec, {mode: "vega-lite", ast: true, actions: false, defaultStyle: false, logLevel: 1, config, renderer, tooltip})).view;
    place.dataset.drawn = "1";
  } finally {
    console.warn = warn;
  }
}

function rowsOf(section) {
  const places = section.drawn ?? section.values[0].map((_, row) => row);
  return places.map((row) => {
    const each = {};
    section.columns.forEach((column, at) => {
      const value = section.values[at][row];
      each[`c${at}`] = value === null && column.kind !== "number" ? "none" : value;
    });
    return each;
  });
}

function fitted(spec, room) {
  // Fit panels, labels and legends to the page; Vega-Lite itself only fits a single chart.
  const fit = structuredClone(spec), labels = Math.max(90, Math.min(220, room * 0.34));
  if (fit.usermeta && !fit.usermeta.fixed) {
    const inner = fit.spec, beside = Math.min(labels, fit.usermeta.names * 6.4) + 34;
    fit.columns = fit.columns ? Math.max(1, Math.floor(room / Math.max(fit.usermeta.panel, beside + 120))) : undefined;
    inner.width = Math.max(110, Math.floor(room / (fit.columns ?? fit.usermeta.columns)) - beside - 14);
  }
  const config = structuredClone(page.config);
  config.axis.labelLimit = labels;
  config.legend.columns = Math.max(1, Math.floor(room / 150));
  config.legend.labelLimit = 300; // a label ends where the next column starts
  return [fit, config];
}

async function drawChart(box) {
  const section = page.sections[box.dataset.chart], room = box.clientWidth;
  const [spec, config] = fitted(section.spec, room);
  spec.datasets = {rows: rowsOf(section)};
  try {
    await embed(box, spec, config, "svg");
  } catch (problem) {
    box.textContent = "This chart could not be drawn.";
    console.error(section.id, problem);
  }
}

async function drawAll() {
  const width = window.innerWidth;
  for (const box of document.querySelectorAll("[data-chart]")) {
    await drawChart(box);
    await new Promise((next) => setTimeout(next));
  }
  for (const box of document.querySelectorAll("[data-map]")) await drawMap(box);
  document.documentElement.dataset.ready = String(width);
}

let drawnAt = window.innerWidth, waiting = null;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (Math.abs(window.innerWidth - drawnAt) > 40) { drawnAt = window.innerWidth; drawAll(); } }, 250);
});
drawAll();
