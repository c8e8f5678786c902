"use strict";
// Tables with sorting, filtering and CSV export. A table is built when it is first opened.
const FIRST = 12, MORE = 200;

function csvCell(value, kind) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  // Spreadsheets run text that starts like a formula; a leading apostrophe prevents that.
  if (kind !== "number" && /^\s*[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(section, order) {
  const lines = [section.columns.map((column) => csvCell(column.name, "text")).join(",")];
  for (const row of order) lines.push(section.columns.map((column, at) => csvCell(section.values[at][row], column.kind)).join(","));
  return lines.join("\r\n") + "\r\n";
}

function buildTable(details, section) {
  const rows = section.values.length ? section.values[0].length : 0;
  const haystack = Array.from({length: rows}, (_, row) => section.values.map((column) => column[row] ?? "").join("\n").toLowerCase());
  const collator = new Intl.Collator("en", {numeric: true});
  let sorted = null, descending = false, filterText = "", limit = FIRST;

  const body = make("tbody"), found = make("span", {class: "found", "aria-live": "polite"});
  const more = make("button", {type: "button", onclick: () => { limit += MORE; draw(); }}, "Show more rows");
  const heads = section.columns.map((column, at) => make("th", {scope: "col", class: column.kind}, make("button", {type: "button", onclick: () => {
    descending = sorted === at ? !descending : column.kind === "number";
    sorted = at;
    heads.forEach((head, place) => place === at ? head.setAttribute("aria-sort", descending ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    draw();
  }}, column.name.replaceAll("_", " "))));

  function order() {
    const words = filterText.toLowerCase().split(/\s+/).filter(Boolean);
    const left = Array.from({length: rows}, (_, row) => row).filter((row) => words.every((word) => haystack[row].includes(word)));
    if (sorted === null) return left;
    const values = section.values[sorted], number = section.columns[sorted].kind === "number", sign = descending ? -1 : 1;
    return left.sort((one, other) => {
      const a = values[one], b = values[other];
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      return sign * (number ? a - b : collator.compare(a, b)) || one - other;
    });
  }

  function draw() {
    const left = order();
    body.replaceChildren(...left.slice(0, limit).map((row) => {
      const line = make("tr");
      section.columns.forEach((column, at) => {
        const value = section.values[at][row], kind = column.kind === "text" && String(value).length > 36 ? "text long" : column.kind;
        const cell = make("td", {class: kind});
        cell.append(shown(value, column.kind));
        if (column.kind === "id" && value !== null) {
          const button = revealer(value, (box) => {
            const row = make("tr", {}, make("td", {colspan: section.columns.length}, box));
            line.after(row);
            return row;
          });
          if (button) cell.append(button);
        }
        line.append(cell);
      });
      return line;
    }));
    found.textContent = `${left.length.toLocaleString("en")} of ${section.total.toLocaleString("en")} rows` +
      (section.total > rows ? `; this page contains the first ${rows.toLocaleString("en")}` : "");
    more.hidden = left.length <= limit;
  }

  details.append(
    make("div", {class: "tools"},
      make("input", {type: "search", placeholder: "Filter rows", "aria-label": `Filter rows of ${section.title}`, oninput: (event) => { filterText = event.currentTarget.value; limit = FIRST; draw(); }}),
      make("button", {type: "button", class: "export", onclick: () => {
        const link = make("a", {href: URL.createObjectURL(new Blob([csv(section, order())], {type: "text/csv"})), download: `${page.version}-${section.id}.csv`});
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      }}, "Export CSV"),
      found),
    make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": `${section.title}, table`},
      make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body)),
    more);
  draw();
}

for (const details of document.querySelectorAll("details[data-table]")) {
  const section = page.sections[details.dataset.table];
  const build = () => { if (details.open && !details.dataset.built) { details.dataset.built = "1"; buildTable(details, section); } };
  details.addEventListener("toggle", build);
  build();
}
