// Thresholds of the reader's own: what the table's counts and quantiles leave open of its probabilities, as bounds.
(() => {
  const form = document.querySelector("form.thresholds"), told = document.getElementById("asked");
  const table = document.getElementById("main"), own = {};
  const column = event => [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent.trim() === `P(${event})`);
  const columns = {vanish: column("vanish"), stable: column("stable"), explode: column("explode")};
  // A logarithm that knows thresholds beyond what a number can hold; NaN of what is no threshold.
  const log = text => {
    const found = /^(\d+\.?\d*|\.\d+)(?:e([+-]?\d+))?$/i.exec(text.trim());
    if (!found || !Number(found[1])) return NaN;
    const held = Math.log(Number(text));
    return Number.isFinite(held) ? held : Math.log(found[1]) + Math.LN10 * Number(found[2]);
  };
  // Of a row, in networks: how many there are, and [at, at least so many are up to there, at most so many below it].
  const knots = text => {
    const [all, dead, below, above, beyond, ...quantiles] = text.split(" ").map(number);
    const ranks = quantiles.map((at, i) => [at, Math.ceil(all * percents[i] / 100)]).map(([at, rank]) => [at, rank, rank - 1]);
    const ends = [[-Infinity, dead, 0], [Infinity, all, all - beyond]];
    return {all, below, above, known: [...ends, [own.vanish, below, below], [own.explode, all - above, all - above], ...ranks]};
  };
  const most = (known, fits) => Math.max(...known.filter(fits).map(knot => knot[1]));
  const least = (known, fits) => Math.min(...known.filter(fits).map(knot => knot[2]));
  // [at least, at most] of each share.
  const bounds = (row, vanish, explode) => {
    const {all, below, above, known} = knots(row.querySelector("[data-known]").dataset.known);
    const [v, w] = vanish === own.vanish ? [below, below]
      : [most(known, ([at]) => at < vanish), least(known, ([at]) => at >= vanish)];
    const [e, f] = explode === own.explode ? [above, above]
      : [all - least(known, ([at]) => at > explode), all - most(known, ([at]) => at <= explode)];
    const counts = {vanish: [v, w], stable: [Math.max(0, all - w - f), all - v - e], explode: [e, f]};
    return Object.fromEntries(Object.entries(counts).map(([event, pair]) => [event, pair.map(count => count / all)]));
  };
  // What is known stands in full, a bound rounded outwards.
  const text = ([low, high]) => {
    if (low === high) return String(Number(low.toPrecision(6)));
    const [a, b] = [Math.floor(low * 1e4 + 1e-6) / 1e4, Math.ceil(high * 1e4 - 1e-6) / 1e4];
    return `${a} to ${b}`;
  };
  const bar = ({vanish: [v, w], explode: [e, f]}) => {
    const sure = w + f < 1;
    const pieces = [["vanish", v], ["unknown", sure ? w - v : 1 - v - e], ["stable", sure ? 1 - w - f : 0], ["unknown", sure ? f - e : 0], ["explode", e]];
    return pieces.map(([name, share]) => `<span class="${name}" style="width:${(100 * share).toFixed(2)}%"></span>`).join("");
  };
  const shown = new Map();  // cell -> what it shows by the study's own thresholds
  const put = (cell, content, value, high) => {
    if (!shown.has(cell)) shown.set(cell, [cell.innerHTML, cell.dataset.value, cell.title]);
    cell.innerHTML = content;
    cell.removeAttribute("title");
    if (value !== undefined) Object.assign(cell.dataset, {value, most: high});
  };
  const restore = () => {
    for (const [cell, [content, value, title]] of shown) {
      cell.innerHTML = content;
      delete cell.dataset.most;
      if (value !== undefined) cell.dataset.value = value;
      if (title) cell.title = title;
    }
    shown.clear();
  };
  const nats = at => `log-norm ${at.toFixed(2).replace("-", "\u2212")}`;
  const ask = () => {
    const said = {vanish: form.vanish.value.trim(), explode: form.explode.value.trim()};
    const [vanish, explode] = [log(said.vanish), log(said.explode)];
    const right = vanish < explode;
    for (const name of ["vanish", "explode"]) form[name].setAttribute("aria-invalid", String(!right));
    restore();
    for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
    delete table.dataset.asked;
    const asked = right ? [vanish !== own.vanish && "vanish", explode !== own.explode && "explode"].filter(Boolean) : [];
    told.hidden = right && !asked.length;
    if (!right) told.textContent = "These are no thresholds: give two norms above 0, such as 1e-6 and 1e6, the first below the second. The table shows the study\u2019s own.";
    if (!asked.length) return;
    for (const row of table.tBodies[0].rows) {
      const found = bounds(row, vanish, explode);
      for (const event of [...asked, "stable"]) put(row.cells[columns[event]], text(found[event]), ...found[event]);
      put(row.querySelector("[data-known] .bar"), bar(found));
    }
    table.dataset.asked = JSON.stringify([["vanished below", said.vanish], ["exploded above", said.explode]]);
    const options = asked.map(name => ` --${name} ${said[name]}`).join("");
    told.textContent = `Vanished: norm below ${said.vanish} (${nats(vanish)}); exploded: above ${said.explode} (${nats(explode)}). `
      + `\u201ca to b\u201d: stored are counts at the study\u2019s own thresholds and the ${percents.join(", ")} % quantiles, and between two of these `
      + "only bounds are known (hatched in the bar). They are shares of the networks measured here, without what sampling leaves open. "
      + `Charts and sentences keep the study\u2019s own thresholds. To count the samples: rnnmc statistics DIR${options}`;
  };
  for (const name of ["vanish", "explode"]) own[name] = log(form[name].defaultValue);
  form.addEventListener("change", ask);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(ask));
  form.hidden = false;
})();
