const options = {renderer: "svg", actions: false, config};
const wide = document.querySelectorAll(".scroll, .chart");

// The library and the charts are unpacked when the first chart comes near the screen, and each chart is drawn then.
const unpacked = async id => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
let library;
const ready = () => library ??= (async () => {
  const [vega, charts] = await Promise.all([unpacked("packed-vega"), unpacked("packed-charts")]);
  document.body.append(Object.assign(document.createElement("script"), {textContent: vega}));
  return JSON.parse(charts);
})();
const draw = async place => {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "soon";
  try {
    const charts = await ready();
    await vegaEmbed(place, charts[place.dataset.chart], options);
    place.dataset.drawn = "yes";
  } catch (error) {
    place.dataset.drawn = "no";
    place.textContent = "This chart could not be drawn: " + error.message;
    console.error(place.dataset.chart, error);
  }
  edges(place);
};
const near = new IntersectionObserver(entries => {
  for (const {isIntersecting, target} of entries) if (isIntersecting) { near.unobserve(target); draw(target); }
}, {rootMargin: "600px"});
const places = document.querySelectorAll("[data-chart]");
for (const place of places) near.observe(place);

// What is folded opens for whoever asks for it: by a link, by the button, for paper.
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
addEventListener("load", reveal);
const openAll = async () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  // One after the other with a breath between, so that the page can be read and scrolled meanwhile.
  for (const place of places) { await draw(place); await new Promise(resume => setTimeout(resume)); }
  document.body.dataset.drawn = "yes";
};
document.getElementById("open-all").addEventListener("click", openAll);
addEventListener("beforeprint", openAll);
if (location.hash === "#everything") openAll();

// That there is more to the right is said, and seen: the edge fades.
const edges = box => {
  box.classList.toggle("wider", box.scrollWidth > box.clientWidth + 2);
  box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
};
const sizes = new ResizeObserver(entries => requestAnimationFrame(() => { for (const {target} of entries) edges(target); }));
for (const box of wide) {
  sizes.observe(box);
  box.addEventListener("scroll", () => edges(box), {passive: true});
}

const number = text => text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
document.addEventListener("click", async event => {
  const button = event.target.closest("button.copy");
  if (button) {
    const said = document.getElementById("command");
    said.textContent = button.dataset.command;
    said.parentElement.hidden = false;
    try {
      await navigator.clipboard.writeText(button.dataset.command);
      button.textContent = "copied";
    } catch {  // not allowed: it stands above the table, to be copied by hand
      button.textContent = "shown above";
    }
    setTimeout(() => button.textContent = "copy", 2000);
  }
  const header = event.target.closest("th button")?.parentElement;
  if (!header) return;
  const table = header.closest("table"), column = header.cellIndex, down = header.getAttribute("aria-sort") === "ascending";
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
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

// The table of all settings: choices of what it shows, and what it shows as CSV.
(() => {
  const table = document.getElementById("main"), form = document.querySelector("form.filters"), rows = [...table.tBodies[0].rows];
  const headers = [...table.tHead.rows[0].cells].map(cell => cell.textContent.trim());
  const chosen = new Map();
  const field = (label, values, use) => {
    const list = document.createElement("select");
    list.append(...values.map(([value, text]) => new Option(text, value)));
    list.addEventListener("change", () => { use(list.value); show(); });
    const said = document.createElement("label");
    said.append(label, list);
    form.append(said);
  };
  let other = "";
  const count = document.createElement("output"), save = document.createElement("button");
  const show = () => {
    let shown = 0, all = 0;
    for (const row of rows) {
      const ours = ("other" in row.dataset) === (other === "rms");
      const fits = ours && [...chosen].every(([column, value]) => !value || row.cells[column].textContent === value);
      row.hidden = !fits;
      all += ours; shown += fits;
    }
    count.textContent = `${shown} of ${all} rows`;
  };
  const words = [...table.tHead.rows[0].cells].map((cell, i) => cell.classList.contains("text") || headers[i] === "width");
  headers.forEach((header, column) => {
    const values = [...new Set(rows.map(row => row.cells[column].textContent))];
    if (header && words[column] && values.length > 1) {
      field(header, [["", "all"], ...values.map(value => [value, value])], value => chosen.set(column, value));
    }
  });
  if (rows.some(row => "other" in row.dataset)) {
    field("norm", [["", "spectral: the best direction"], ["rms", "RMS gain: a typical one"]], value => other = value);
  }
  save.type = "button";
  save.textContent = "Save these rows as CSV";
  save.addEventListener("click", () => {
    const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const columns = headers.flatMap((header, i) => header && header !== "again" ? [[header, i]] : []);
    const numeric = new Set(columns.filter(([, i]) => rows.some(row => row.cells[i].dataset.value)).map(([, i]) => i));
    const bounded = new Set(columns.filter(([, i]) => rows.some(row => row.cells[i].dataset.most)).map(([, i]) => i));
    const asked = JSON.parse(table.dataset.asked ?? "[]");
    const head = [...asked.map(([name]) => name), ...columns.flatMap(([header, i]) => bounded.has(i)
      ? [`${header} at least`, `${header} at most`] : numeric.has(i) ? [header, `${header} as shown`] : [header])];
    const lines = [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => [...asked.map(([, value]) => value), ...columns.flatMap(([, i]) => {
      const cell = row.cells[i];
      return numeric.has(i) ? [cell.dataset.value ?? "", bounded.has(i) ? cell.dataset.most : cell.textContent] : [cell.textContent];
    })]);
    const text = [head, ...lines].map(line => line.map(quoted).join(",")).join("\n") + "\n";
    const link = Object.assign(document.createElement("a"), {download: "rows.csv"});
    link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  form.append(count, save);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  show();
})();
