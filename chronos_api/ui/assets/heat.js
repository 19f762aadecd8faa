// The heat map: one stop of the tab key. The arrow keys go from hour to hour and from day to day.

function above(cell, step) {
  for (let row = cell.parentElement; (row = step < 0 ? row.previousElementSibling : row.nextElementSibling);) {
    const link = row.cells[cell.cellIndex].querySelector("a");
    if (link) return link;
  }
  return null;
}

function wanted(key, link, links) {
  const index = links.indexOf(link);
  const inRow = [...link.closest("tr").querySelectorAll("a")];
  const moves = {
    ArrowLeft: () => links[index - 1],
    ArrowRight: () => links[index + 1],
    ArrowUp: () => above(link.parentElement, -1),
    ArrowDown: () => above(link.parentElement, 1),
    Home: () => inRow[0],
    End: () => inRow.at(-1),
  };
  return moves[key]?.();
}

/** Let the arrow keys move in the page's heat map, if it has one. */
export function prepareHeatMap() {
  const table = document.querySelector("[data-heat]");
  if (!table) return;
  const links = [...table.querySelectorAll("tbody a")];
  const show = (stop) => { for (const link of links) link.tabIndex = link === stop ? 0 : -1; };
  const first = table.querySelector("[aria-current]") ?? table.querySelector("td a") ?? links[0];
  show(first);
  // A narrow screen begins with the first hour that comes, beside the names of the days.
  const edge = table.querySelector("th").getBoundingClientRect().right;
  table.parentElement.scrollLeft = first.getBoundingClientRect().left - edge;
  table.addEventListener("keydown", (event) => {
    const next = wanted(event.key, event.target.closest("a"), links);
    if (!next) return;
    event.preventDefault();
    show(next);
    next.focus();
  });
}
