const options = {renderer: "svg", actions: false, config};
// One after the other with a breath between, so that the page can be read and scrolled meanwhile and printed soon.
(async () => {
  for (const place of document.querySelectorAll("[data-chart]")) {
    try {
      await vegaEmbed(place, charts[place.dataset.chart], options);
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = "This chart could not be drawn: " + error.message;
      console.error(place.dataset.chart, error);
    }
    await new Promise(resume => setTimeout(resume));
  }
  document.body.dataset.drawn = "yes";
})();

document.addEventListener("click", event => {
  const header = event.target.closest("th button")?.parentElement;
  if (!header) return;
  const table = header.closest("table"), column = header.cellIndex, down = header.getAttribute("aria-sort") === "ascending";
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const number = text => text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
  const compare = (a, b) => {
    const [x, y] = [number(value(a)), number(value(b))];
    if (Number.isNaN(x) !== Number.isNaN(y)) return (Number.isNaN(x) ? 1 : -1) * (down ? -1 : 1); // what is not known: last
    return Number.isNaN(x) ? value(a).localeCompare(value(b)) : x < y ? -1 : x > y ? 1 : 0;
  };
  const rows = [...table.tBodies[0].rows].sort((a, b) => down ? compare(b, a) : compare(a, b));
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
});
