"use strict";
// Tables of class "sortable" get headings that sort, and, where they are long, a field that filters. Without script they are whole.
const LONG = 15;

function key(row, at) {
  const cell = row.cells[at];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
}

function compare(a, b) {
  const numbers = typeof a === "number" && typeof b === "number";
  if (numbers) return a - b;
  if (typeof a === typeof b) return a.localeCompare(b, undefined, { numeric: true });
  return typeof a === "number" ? 1 : -1;
}

function sort(table, heading, at) {
  const falls = heading.classList.contains("number");
  const order = heading.getAttribute("aria-sort") === (falls ? "descending" : "ascending") ? !falls : falls;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row, at), row]);
  rows.sort((a, b) => (order ? compare(b[0], a[0]) : compare(a[0], b[0])));
  body.append(...rows.map((pair) => pair[1]));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order ? "descending" : "ascending");
}

function addFilter(table) {
  const label = document.createElement("label"), field = document.createElement("input"), found = document.createElement("span");
  label.className = "filter";
  field.type = "search";
  found.setAttribute("role", "status");
  label.append("Show rows with ", found, field);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const told = [...row.cells].map((cell) => cell.textContent).join("\n");
      row.hidden = !told.toLowerCase().includes(wanted);
      if (!row.hidden) shown += 1;
    }
    found.textContent = wanted ? `(${shown} of ${table.tBodies[0].rows.length})` : "";
  });
  table.parentElement.before(label);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, at) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(table, heading, at));
  });
  if (table.tBodies[0].rows.length > LONG) addFilter(table);
}
