// A finding's body: why it counts, and both sources side by side.

const KEYWORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global "
  + "if import in is lambda nonlocal not or pass raise return try while with yield match case true false null").split(" "));
const TOKEN = /(?<c>#.*|\/\/.*)|(?<s>[rbuf]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?))|(?<m>\b\d[\w.]*)|(?<f>@[\w.]+)|(?<w>[\p{L}_][\p{L}\p{N}_]*)|(?<o>\s+|[^])/giuy;
const TOKEN_PYTHON = new RegExp(TOKEN.source.replace("|\\/\\/.*", ""), TOKEN.flags); // there // divides

/** Tokens of a source text as [class, text]: keyword, string, comment, number (m), function name (f), word, other. */
function* tokens(text, path) {
  const pattern = new RegExp(/\.(py|pyi|ipynb|ya?ml|toml|sh)$/.test(path) ? TOKEN_PYTHON : TOKEN);
  let before = "";
  for (const match of text.matchAll(pattern)) {
    let [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    if (kind === "w") kind = before === "def" || before === "class" ? "f" : KEYWORDS.has(match[0]) ? "k" : before === "." ? "a" : "w";
    if (match[0].trim()) before = match[0];
    yield [kind, match[0]];
  }
}

// code ------------------------------------------------------------------------------------------

let texts = null;

/** Excerpts by side and path, so that any span's lines can be looked up. */
function indexText() {
  texts = [new Map(), new Map()];
  for (const [side, path, start, text] of data.text) {
    if (!texts[side].has(path)) texts[side].set(path, []);
    texts[side].get(path).push({ start, text, lines: null });
  }
}

/** The lines of a span, or null where the report carries no code for it. */
function linesOf(side, [path, , start, end]) {
  for (const excerpt of texts[side].get(path) ?? []) {
    excerpt.lines ??= excerpt.text.split("\n");
    if (excerpt.start <= start && start < excerpt.start + excerpt.lines.length)
      return excerpt.lines.slice(start - excerpt.start, end - excerpt.start + 1);
  }
  return null;
}

// names -----------------------------------------------------------------------------------------

const SIGNS = { function: "f", class: "C", attribute: "a", module: "m", key: "k" };

/** The pairs of a finding, and for each side the pair that a spelling belongs to, after a dot and elsewhere. */
function namePairs(finding) {
  const counts = {};
  const pairs = (finding.renames ?? []).map(([kind, a, b, agreeing, contradicting], index) => {
    const sign = SIGNS[kind] ?? "v";
    counts[sign] = (counts[sign] ?? 0) + 1;
    return { index, kind, names: [a, b], agreeing, contradicting, symbol: `${sign}${counts[sign]}` };
  });
  const found = [0, 1].map((side) => {
    const table = { w: new Map(), a: new Map() };
    for (const pair of pairs) {
      const last = pair.names[side].split(".").pop();
      const own = pair.kind === "variable" || pair.kind === "parameter" ? "w" : "a";
      if (!table[own].has(last)) table[own].set(last, pair);
    }
    return (kind, word) => {
      const first = kind === "a" ? table.a : table.w;
      return first.get(word) ?? (kind === "a" ? table.w : table.a).get(word);
    };
  });
  return { pairs, found };
}

/** Aligned blocks with absolute lines (the payload holds steps). */
function blocksOf(finding) {
  let atA = 0, atB = 0;
  return (finding.lines ?? []).map(([stepA, moreA, stepB, moreB, bits, a = 0, b = 0], index) => {
    atA += stepA;
    atB += stepB;
    return { index, bits, spans: [a, b], lines: [[atA, atA + moreA], [atB, atB + moreB]], normal: ["", ""], alike: false };
  });
}

/** One side of a finding: its lines with the marks of their aligned blocks, line numbers, coloured text. */
class Pane {
  constructor(finding, side, names, blocks) {
    Object.assign(this, { finding, side, names, blocks, rows: [], words: [] });
  }

  draw() {
    const spans = (this.side ? this.finding.b : this.finding.a) ?? [];
    const label = "AB"[this.side];
    return h("div", { class: "pane" }, spans.flatMap((span, index) => {
      const path = data.sides[this.side].paths[span[0]];
      const href = permalink(this.side, span[0], span[2], span[3]);
      const where = `${path}:${span[2]}-${span[3]}`;
      const head = h("p", { class: "place" }, h("span", { class: `side ${label.toLowerCase()}` }, label),
        href ? h("a", { href, rel: "noreferrer" }, where) : h("span", {}, where), span[1] ? h("span", {}, span[1]) : null);
      const lines = linesOf(this.side, span);
      if (!lines) return [head, h("p", { class: "missing" }, "The report carries no text of this place.")];
      return [head, h("div", { class: "code", tabindex: "0", role: "region", "aria-label": `Code of ${label}: ${where}` },
        h("div", { class: "rows" }, this.drawLines(span, index, path, lines)))];
    }));
  }

  drawLines(span, spanIndex, path, lines) {
    const own = this.blocks.filter((block) => block.spans[this.side] === spanIndex);
    const drawn = lines.map((_, offset) => this.drawLine(span, span[2] + offset, own));
    const normal = lines.map(() => "");
    let row = 0;
    for (const [kind, text] of tokens(lines.join("\n"), path)) {
      text.split("\n").forEach((piece, part) => {
        if (part) row++;
        if (piece) normal[row] += this.drawToken(kind, piece, drawn[row].lastChild);
      });
    }
    for (const block of own) {
      const [first, last] = block.lines[this.side];
      block.normal[this.side] = normal.slice(first - span[2], last - span[2] + 1).join("");
    }
    this.rows.push(...drawn);
    return drawn;
  }

  drawLine(span, number, own) {
    const blocks = own.filter(({ lines }) => lines[this.side][0] <= number && number <= lines[this.side][1]);
    const starting = blocks.filter(({ lines }) => lines[this.side][0] === number);
    const mark = starting.length > 2 ? `${starting[0].index + 1}…` : starting.map(({ index }) => index + 1).join(",");
    const href = permalink(this.side, span[0], number, number);
    const line = h("div", { class: blocks.length ? "line aligned" : "line" },
      h("span", { class: "mark", title: starting.map(({ index, bits }) => `aligned block ${index + 1}: ${bitsText(bits)} bits`).join("\n") || null }, mark),
      href ? h("a", { class: "n", href, tabindex: "-1", rel: "noreferrer" }, String(number)) : h("span", { class: "n" }, String(number)),
      h("span", { class: "t" }));
    line.blocks = blocks;
    return line;
  }

  /** Appends a token and returns its normal form: renamed names by symbol, no spaces, no comments. */
  drawToken(kind, text, parent) {
    const pair = kind === "w" || kind === "a" || kind === "f" ? this.names.found[this.side](kind, text) : undefined;
    if (pair) {
      const word = h("span", { class: `v v${pair.index % 8}`, title: `${pair.names[0]} in A, ${pair.names[1]} in B` }, text);
      Object.assign(word, { pair, original: text });
      this.words.push(word);
      parent.append(word);
      return pair.symbol;
    }
    parent.append("kscmf".includes(kind) ? h("span", { class: kind }, text) : text);
    return kind === "c" ? "" : text.replace(/\s+/g, "");
  }
}

/** Both sides of a finding with ribbons between aligned blocks, toggles, and partners of names on hover. */
function sideBySide(finding) {
  const names = namePairs(finding);
  const blocks = blocksOf(finding);
  const panes = [0, 1].map((side) => new Pane(finding, side, names, blocks));
  const links = h("svg:svg", { "aria-hidden": "true" });
  const [left, right] = panes.map((pane) => pane.draw());
  const sides = h("div", { class: "sides" }, left, links, right);
  for (const block of blocks) block.alike = block.normal[0] !== "" && block.normal[0] === block.normal[1];
  for (const pane of panes) foldAlike(pane.rows);
  const partner = h("p", { class: "partner" }, names.pairs.length ? "Point at a coloured name to see its partner." : "");
  finding.redraw = () => drawLinks(links, panes, blocks);
  new ResizeObserver(finding.redraw).observe(sides);
  sides.addEventListener("mouseover", (event) => light(event.target, panes, links, partner, names));
  const controls = blocks.length || names.pairs.length ? viewControls(finding, sides, panes) : null;
  return [controls, sides, partner, nameList(names, panes, partner)];
}

/** Marks lines that are alike in normal form, and puts a gap line before each run of them. */
function foldAlike(rows) {
  let run = [];
  const close = (next) => {
    if (run.length) (next ?? run.at(-1)).before(h("div", { class: "gap" }, `${run.length} ${run.length === 1 ? "line" : "lines"} alike`));
    run = [];
  };
  for (const row of rows) {
    if (row.blocks.length && row.blocks.every((block) => block.alike)) { row.classList.add("alike"); run.push(row); } else close(row);
  }
  close(null);
}

function viewControls(finding, sides, panes) {
  const group = `view-${finding.id}`;
  const symbols = (on) => panes.forEach((pane) => pane.words.forEach((word) => { word.textContent = on ? word.pair.symbol : word.original; }));
  const choice = (text, checked, change) => h("label", {}, h("input", { type: "radio", name: group, checked, change }), text);
  return h("fieldset", { class: "views" }, h("legend", {}, "Show"),
    choice("original text", true, () => symbols(false)),
    choice("normal form (paired names by one symbol)", false, () => symbols(true)),
    h("label", {}, h("input", { type: "checkbox", change: (event) => { sides.classList.toggle("differences", event.target.checked); finding.redraw(); } }), "only differences"));
}

/** Ribbons between the blocks as they stand on the page, so they cross where statements were reordered. */
function drawLinks(svg, panes, blocks) {
  const frame = svg.getBoundingClientRect();
  if (!frame.width) return;
  svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const place = (pane, block) => {
    const rows = pane.rows.filter((row) => row.blocks.includes(block) && row.offsetParent).map((row) => row.getBoundingClientRect());
    return rows.length ? [rows[0].top - frame.top, rows.at(-1).bottom - frame.top] : null;
  };
  svg.replaceChildren(...blocks.flatMap((block) => {
    const [a, b] = panes.map((pane) => place(pane, block));
    if (!a || !b) return [];
    const [w, m] = [frame.width, frame.width / 2];
    const d = `M0 ${a[0]}C${m} ${a[0]} ${m} ${b[0]} ${w} ${b[0]}V${b[1]}C${m} ${b[1]} ${m} ${a[1]} 0 ${a[1]}Z`;
    const link = h("svg:path", { class: "link", d });
    link.blocks = [block];
    return [link];
  }));
}

/** Lights the blocks and the name under the pointer on both sides, and says what the name's partner is. */
function light(target, panes, links, partner, names) {
  const lit = target.blocks ?? target.closest(".line")?.blocks ?? [];
  for (const item of [...panes.flatMap((pane) => pane.rows), ...links.children])
    item.classList.toggle("on", item.blocks.some((block) => lit.includes(block)));
  lightName(target.pair, panes, partner);
}

function lightName(pair, panes, partner) {
  for (const word of panes.flatMap((pane) => pane.words)) word.classList.toggle("on", word.pair === pair);
  if (pair) partner.textContent = `${pair.names[0]} in A is ${pair.names[1]} in B (${pair.kind}, ${count(pair.agreeing)} sites agree, ${count(pair.contradicting)} contradict)`;
}

/** The pairs of names as buttons: the same as pointing at them, for keyboard and touch. */
function nameList(names, panes, partner) {
  if (!names.pairs.length) return null;
  const item = (pair) => h("li", {}, h("button", { type: "button", class: `v v${pair.index % 8}`, click: () => lightName(pair, panes, partner), focus: () => lightName(pair, panes, partner) },
    pair.names[0] === pair.names[1] ? pair.names[0] : `${pair.names[0]} → ${pair.names[1]}`));
  return h("ul", { class: "names", "aria-label": "Names of A and their partners in B" }, names.pairs.slice(0, 200).map(item));
}

function findingBody(finding) {
  const tags = [...(finding.how ?? []), ...(finding.also ? [`also in ${finding.also.join(", ")}`] : [])];
  const why = (finding.why ?? []).map(([text, bits, a, b]) => h("li", {}, bits ? h("span", { class: "number" }, `${bitsText(bits)} bits`) : null, text,
    a || b ? h("span", { class: "note" }, ` (${[a && `A line ${a}`, b && `B line ${b}`].filter(Boolean).join(", ")})`) : null));
  const inside = ([, name, start, end]) => name || start > 1 || end > 1; // a place that is a whole file shows as a link
  const coded = [finding.a, finding.b].some((spans, side) => (spans ?? []).some((span) => inside(span) && linesOf(side, span)));
  return [
    tags.length ? h("ul", { class: "tags", "aria-label": "How it was changed" }, tags.map((tag) => h("li", {}, tag))) : null,
    why.length ? h("h5", {}, "Why this counts") : null,
    why.length ? h("ul", { class: "why" }, why) : null,
    ...(finding.details ? detailViews(finding.details) : []),
    ...(coded ? sources(finding) : placeLinks(finding)),
  ].filter(Boolean);
}

const LONG = 150;

/** Both sides, folded where they are long and no line of them is told to correspond (two equal files, say). */
function sources(finding) {
  const lines = [...(finding.a ?? []), ...(finding.b ?? [])].reduce((sum, span) => sum + span[3] - span[2] + 1, 0);
  if (finding.lines || lines <= LONG) return sideBySide(finding);
  return [folded(`The text of both sides (${count(lines)} lines)`, () => h("div", {}, sideBySide(finding))), ...placeLinks(finding)];
}

/** Links to the places of a finding that shows no code. */
function placeLinks(finding) {
  return [finding.a, finding.b].flatMap((spans, side) => (spans ?? []).map((span) => {
    const href = permalink(side, span[0], span[2], span[3]);
    const text = data.sides[side].paths[span[0]] + (span[1] ? ` · ${span[1]}` : "");
    return h("p", { class: "place" }, h("span", { class: `side ${"ab"[side]}` }, "AB"[side]), href ? h("a", { href, rel: "noreferrer" }, text) : text);
  }));
}
