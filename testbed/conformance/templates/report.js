"use strict";
const filter = document.getElementById("filter");
const search = filter.querySelector("[type=search]");
const boxes = [...filter.querySelectorAll("[type=checkbox]")];
const suites = [...document.querySelectorAll("details.suite")];

function show() {
  const text = search.value.trim().toLowerCase();
  const outcomes = new Set(boxes.filter(box => box.checked).map(box => box.value));
  const filtered = text !== "" || outcomes.size < boxes.length;
  for (const suite of suites) {
    let shown = 0;
    for (const row of suite.querySelectorAll("tbody tr")) {
      row.hidden = !outcomes.has(row.dataset.outcome)
        || !row.textContent.toLowerCase().includes(text);
      shown += !row.hidden;
    }
    suite.hidden = filtered && shown === 0;
    if (filtered && shown) suite.open = true;
  }
}

// A link to a suite opens it; what is folded is unfolded for printing.
function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

filter.hidden = false;
filter.addEventListener("input", show);
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => suites.forEach(suite => { suite.open = true; }));
unfold();
