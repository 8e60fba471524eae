// Views for the evidence of other kinds, chosen by the shape of a finding's details.

const MANY = 120;
/** Views that come before others, in this order. */
const FIRST = ["renaming", "pairs", "tokens", "items", "rows", "histogram"];

/** One view for each entry of the details; short plain values stand together as facts. */
function detailViews(details) {
  const facts = [], views = [];
  const rank = ([name]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  for (const [name, value] of Object.entries(details).sort((x, y) => rank(x) - rank(y))) {
    if (value === null || typeof value !== "object") facts.push([name, value]);
    else if (name.startsWith("only_") && Object.keys(value).length > 5) views.push(folded(`${words(name)} (${count(Object.keys(value).length)})`, () => view(name, value, details)));
    else if (Object.keys(value).length) views.push(h("h5", {}, words(name)), view(name, value, details));
  }
  return [...(facts.length ? [factList(facts)] : []), ...views];
}

const LABELS = { share_a: "Part of A that agrees", share_b: "Part of B that agrees", of_b: "Of B", only_a: "Only in A", only_b: "Only in B" };
const words = (name) => {
  if (Object.hasOwn(LABELS, name)) return LABELS[name];
  const text = name.replaceAll("_", " "); return text.charAt(0).toUpperCase() + text.slice(1);
};
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const isPlain = (value) => value === null || typeof value !== "object";
const isRow = (value) => Array.isArray(value) && value.every(isPlain);

/** Headings of an entry's rows, by its name; rows of another length than these go without. */
const HEADS = {
  a: ["Relation", "Name", "Where"],
  b: ["Relation", "Name", "Where"],
  common: ["Relation", "Name", "Where"],
  files: ["File of A", "File of B", "Git blob", "Bytes", "Bits"],
  first: ["File of A", "Name in A", "Since", "File of B", "Name in B", "Since"],
  items: ["Kind", "Text", "Bits", "In A", "In B"],
  lacks: ["Commit", "Date", "Subject", "File", "Lines absent", "Lines brought"],
  rows: ["Evidence", "In A", "In B", "Sites"],
  tokens: ["Token", "Id in A", "Id in B"],
};

/** `beside` is the object that holds the value: pairs of tensor names beside a renaming are rows, keys are a tree. */
function view(name, value, beside) {
  if (name === "histogram") return histogram(value) ?? generic(value, name);
  if (name === "renaming" && !Array.isArray(value) && Object.values(value).every(isPlain)) return renaming(value);
  if (name === "tokens" && Array.isArray(value) && value.every(isPlain)) return tokenList(value);
  if (name === "pairs" && Array.isArray(value) && value.every((row) => isRow(row) && row.length >= 2)) return pairView(value, !beside.renaming);
  return generic(value, name);
}

function factList(facts) {
  return h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, words(name)), h("dd", {}, name.startsWith("share") && value <= 1 ? `${Math.round(value * 100)}%` : plain(value)))));
}

/** Any other value: rows as a table, plain lists as a list, objects as facts, deeper ones folded. */
function generic(value, name) {
  if (isPlain(value)) return h("p", {}, plain(value));
  if (!Array.isArray(value)) {
    const facts = Object.entries(value).filter(([, item]) => isPlain(item));
    const deeper = Object.entries(value).filter(([, item]) => !isPlain(item));
    return h("div", {}, facts.length ? factList(facts) : null,
      deeper.map(([name, item]) => folded(words(name), () => view(name, item, value))));
  }
  if (value.every(isRow) && value.length) {
    const longest = Math.max(...value.map((row) => row.length));
    return table(longest > 1 && longest <= HEADS[name]?.length ? HEADS[name].slice(0, longest) : [], value, words(name));
  }
  if (value.length && value.every((item) => item && !Array.isArray(item) && typeof item === "object" && Object.values(item).every(isPlain))) {
    const heads = [...new Set(value.flatMap((item) => Object.keys(item)))];
    return table(heads.map(words), value.map((item) => heads.map((head) => item[head] ?? "")), words(name));
  }
  return portion(value, (items) => h("ul", {}, items.map((item) => h("li", {}, isPlain(item) ? plain(item) : generic(item, name)))));
}

/** A disclosure that draws its content when first opened: depth costs nothing until it is asked for. */
function folded(title, draw) {
  const details = h("details", { toggle: () => { if (details.open && details.children.length === 1) details.append(draw()); } }, h("summary", {}, title));
  return details;
}

/** The first of many items, with a button for the rest and a field to search them. */
function portion(items, draw) {
  if (items.length <= MANY) return draw(items);
  const box = h("div", {}, draw(items.slice(0, MANY)));
  const search = h("input", { type: "search", "aria-label": "Find", placeholder: `Find in ${count(items.length)}`, input: () => show(MANY) });
  const told = h("p", { class: "note" });
  const all = h("button", { type: "button", class: "more", click: () => show(items.length) });
  function show(limit) {
    const wanted = search.value.toLowerCase();
    const found = items.filter((item) => plain(item).toLowerCase().includes(wanted));
    box.replaceChildren(draw(found.slice(0, limit)));
    all.textContent = `Show all ${count(found.length)}`;
    all.hidden = found.length <= limit;
    told.textContent = `${count(Math.min(found.length, limit))} of ${count(items.length)} listed`;
  }
  show(MANY);
  return h("div", {}, h("p", { class: "views" }, search), box, told, all);
}

function table(heads, rows, label) {
  const draw = (part) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {},
    heads.length ? h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))) : null,
    h("tbody", {}, part.map((row) => h("tr", {}, row.map((cell) => h("td", { class: "code-text" }, isPlain(cell) ? plain(cell ?? "") : JSON.stringify(cell))))))));
  return portion(rows, draw);
}

/** Keys of A and of B with what they share: a tree where the keys are dotted paths, else a table. */
function pairView(rows, asTree) {
  if (asTree && rows.some((row) => String(row[0]).includes(".")) && rows.length <= MANY && rows.every((row) => row.length === 3 || row.length === 4)) return keyTree(rows);
  const more = asTree ? ["Shared value", "Bits"] : ["Shape", "Type"];
  const longest = Math.max(...rows.map((row) => row.length));
  return table(["In A", "In B", ...more, "", ""].slice(0, longest), rows, "Pairs of names");
}

function keyTree(rows) {
  const root = new Map();
  for (const [a, b, value, bits] of rows) {
    const steps = String(a).split(".");
    let node = root;
    for (const step of steps.slice(0, -1)) {
      if (!(node.get(step) instanceof Map)) node.set(step, new Map());
      node = node.get(step);
    }
    node.set(steps.at(-1), { a: String(a), b: String(b), value, bits });
  }
  return drawTree(root, "tree");
}

function drawTree(node, style) {
  return h("ul", { class: style }, [...node].map(([name, item]) => {
    if (item instanceof Map) return h("li", {}, `${name}:`, drawTree(item));
    const renamed = item.a === item.b ? null : [" ", h("span", { class: "note" }, "in B "), h("span", { class: "b" }, item.b)];
    return h("li", {}, name, ...(renamed ?? []), ": ", h("span", { class: "value" }, plain(item.value)),
      item.bits === undefined ? null : h("span", { class: "note" }, `  ${bitsText(Number(item.bits))} bits`));
  }));
}

/** The renaming that turns B's names into A's or the other way, as a Python dict that can be copied. */
function renaming(map) {
  const source = "{\n" + Object.entries(map).map(([from, to]) => `    ${JSON.stringify(from)}: ${JSON.stringify(to)},`).join("\n") + "\n}";
  const copy = h("button", { type: "button", class: "copy", click: async () => { await navigator.clipboard.writeText(source); copy.textContent = "Copied"; } }, "Copy");
  return h("div", {}, h("pre", { class: "renaming", tabindex: "0", role: "region", "aria-label": "Renaming as a Python dict" }, source), copy);
}

function tokenList(items) {
  return portion(items, (part) => h("ul", { class: "tokens" }, part.map((item) => h("li", {}, plain(item)))));
}

/** [[x, count], …], or {edges, counts}; anything else is shown as it is. */
function histogram(value) {
  const bars = Array.isArray(value) ? value : (value.edges && value.counts) ? value.counts.map((number, index) => [value.edges[index], number]) : [];
  if (!bars.length || bars.length > 1000 || !bars.every((bar) => isRow(bar) && bar.length === 2 && bar.every(Number.isFinite))) return null;
  const most = Math.max(...bars.map((bar) => bar[1])) || 1;
  const step = 560 / bars.length;
  const label = (bar, index) => index % Math.ceil(bars.length / 7) === 0
    ? [h("svg:text", { class: "tick", x: 20 + step * (index + 0.5), y: 156, "text-anchor": "middle" }, String(Number(bar[0].toPrecision(3))))] : [];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Histogram" },
    h("svg:svg", { class: "histogram", viewBox: "0 0 600 164", role: "img", "aria-label": `Histogram of ${bars.length} bars from ${bars[0][0]} to ${bars.at(-1)[0]}` },
      bars.map((bar, index) => h("svg:rect", { x: 20 + step * index + 0.5, y: 140 - 130 * bar[1] / most, width: Math.max(step - 1, 0.5), height: 130 * bar[1] / most },
        h("svg:title", {}, `${bar[0]}: ${count(bar[1])}`))),
      bars.flatMap(label), h("svg:line", { class: "base", x1: 20, x2: 580, y1: 140, y2: 140 })));
}
