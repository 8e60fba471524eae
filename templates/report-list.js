// The list of findings: filter, order, group; and the rename map.

const PAIR = (finding) => `${pathOf(0, finding)} and ${pathOf(1, finding)}`;

function pathOf(side, finding) {
  const span = (side ? finding.b : finding.a)?.[0];
  return span ? data.sides[side].paths[span[0]] : "no file";
}

/** `Resampler` of `Resampler.forward`; functions outside classes stand together. */
function classOf(spans) {
  const name = spans?.[0]?.[1] ?? "";
  return name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "outside classes";
}

const GROUPS = {
  none: null,
  file: PAIR,
  class: (finding) => `${classOf(finding.a)} and ${classOf(finding.b)}`,
};

const ORDERS = {
  bits: (x, y) => y.bits - x.bits,
  e: (x, y) => (x.e ?? Infinity) - (y.e ?? Infinity) || y.bits - x.bits,
  strength: (x, y) => y.strength - x.strength || y.bits - x.bits,
  file: (x, y) => PAIR(x).localeCompare(PAIR(y)) || x.a?.[0]?.[2] - y.a?.[0]?.[2],
  title: (x, y) => x.title.localeCompare(y.title),
};

function filterControls() {
  const strengths = data.strengths.slice(1).map((name, index) => [String(index + 1), `${name} or more`]);
  const how = [...new Set(data.findings.flatMap((finding) => finding.how ?? []))].sort();
  const files = [...new Set([0, 1].flatMap((side) => data.findings.map((finding) => pathOf(side, finding))))].sort();
  return {
    text: h("input", { type: "search", autocomplete: "off" }),
    kind: select([["", "all"], ...Object.entries(data.kinds)], ""),
    strength: select([["0", "any"], ...strengths], "0"),
    how: select([["", "any"], ...how.map((name) => [name, name])], ""),
    file: select([["", "all"], ...files.slice(0, 2000).map((path) => [path, path])], ""),
    order: select([["bits", "bits"], ["e", "E-value"], ["strength", "strength"], ["file", "file and line"], ["title", "title"]], "bits"),
    group: select([["file", "file pair"], ["class", "class pair"], ["none", "not at all"]], "file"),
  };
}

/** What the text filter looks through, in lower case; made once for each finding. */
function haystack(finding) {
  finding.haystack ??= [
    finding.title, PAIR(finding), ...(finding.also ?? []), ...(finding.why ?? []).map((why) => why[0]),
    ...(finding.renames ?? []).map((rename) => `${rename[1]} ${rename[2]}`),
    ...[...(finding.a ?? []), ...(finding.b ?? [])].map((span) => span[1]),
  ].join("\n").toLowerCase();
  return finding.haystack;
}

function matches(finding, controls) {
  return (!controls.kind.value || finding.kind === controls.kind.value)
    && finding.strength >= Number(controls.strength.value)
    && (!controls.how.value || (finding.how ?? []).includes(controls.how.value))
    && (!controls.file.value || [0, 1].some((side) => pathOf(side, finding) === controls.file.value))
    && controls.text.value.toLowerCase().split(/\s+/).every((word) => haystack(finding).includes(word));
}

/** The findings that count by group, then those set apart by what explains them: [{heading, findings}]. */
function grouped(findings, key) {
  const groups = new Map();
  for (const finding of findings) {
    const name = finding.also ? `Set apart: also in ${finding.also.join(", ")}` : key ? key(finding) : "";
    if (!groups.has(name)) groups.set(name, { heading: name, apart: Boolean(finding.also), findings: [] });
    groups.get(name).findings.push(finding);
  }
  return [...groups.values()].sort((x, y) => x.apart - y.apart);
}

function groupHeading(group) {
  const bits = group.findings.reduce((sum, finding) => sum + finding.bits, 0);
  const number = group.findings.length;
  return h("h3", { class: "group" }, group.heading || "All findings that count", h("span", { class: "note" }, `${count(number)} ${number === 1 ? "finding" : "findings"}, ${bitsText(bits)} bits`));
}

function drawFindings() {
  const controls = filterControls();
  const view = { listed: [], portions: null, reset };
  const labels = { text: "Find in names, paths, reasons", kind: "Evidence", strength: "Strength", how: "Transformation", file: "File", order: "Order by", group: "Group by" };
  byId("filters").append(
    ...Object.entries(controls).map(([name, control]) => field(labels[name], control, name === "text")),
    h("button", { type: "button", click: () => openAll(true) }, "Open all listed"),
    h("button", { type: "button", click: () => openAll(false) }, "Close all"),
  );
  byId("filters").addEventListener("input", draw);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());

  function draw() {
    view.listed = data.findings.filter((finding) => matches(finding, controls)).sort(ORDERS[controls.order.value]);
    const groups = grouped(view.listed, GROUPS[controls.group.value]);
    const apart = view.listed.filter((finding) => finding.also).length;
    byId("count").textContent = `${count(view.listed.length)} of ${count(data.findings.length)} findings listed` + (apart ? `, ${count(apart)} of them set apart` : "");
    const items = groups.flatMap((group) => [group, ...group.findings]);
    view.portions = drawInPortions(byId("list"), items, (item) => (item.findings ? groupHeading(item) : findingRow(item)));
  }
  function reset() {
    byId("filters").reset();
    draw();
  }
  function openAll(open) {
    view.listed.slice(0, 500).forEach((finding) => setOpen(finding, open));
  }
  draw();
  return view;
}

/** A finding's row; its body is drawn when it is first opened. */
function findingRow(finding) {
  if (finding.row) return finding.row;
  const body = h("div", { class: "body", id: `body-${finding.id}`, hidden: true });
  const button = h("button", { type: "button", "aria-expanded": "false", "aria-controls": body.id, click: () => setOpen(finding, !isOpen(finding)) },
    h("span", { class: `badge s${finding.strength}` }, data.strengths[finding.strength]),
    h("span", { class: "kind" }, data.kinds[finding.kind]),
    h("span", { class: "title" }, finding.title),
    h("span", { class: "bits number" }, finding.bits ? `${bitsText(finding.bits)} bits` : ""),
    h("span", { class: "e number" }, eText(finding.e)));
  Object.assign(finding, { button, body });
  finding.row = h("article", { class: "finding", id: `f-${finding.id}` }, h("h4", {}, button), body);
  return finding.row;
}

const isOpen = (finding) => finding.button?.getAttribute("aria-expanded") === "true";

function setOpen(finding, open) {
  findingRow(finding);
  if (open && !finding.body.firstChild) finding.body.append(...findingBody(finding));
  finding.button.setAttribute("aria-expanded", String(open));
  finding.body.hidden = !open;
  if (open) finding.redraw?.();
}

/** Opens the finding that the address names (`#f-…`), whatever the filters say. */
function followAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  const finding = list && data.findings.find((item) => `f-${item.id}` === id);
  if (!finding) return;
  if (!list.listed.includes(finding)) list.reset();
  list.portions.until(() => finding.row?.isConnected);
  setOpen(finding, true);
  finding.row.scrollIntoView();
  finding.button.focus({ preventScroll: true });
}

function drawRenames() {
  const kinds = [...new Set(data.renames.map((rename) => rename[0]))].sort();
  const text = h("input", { type: "search", autocomplete: "off" });
  const kind = select([["", "all"], ...kinds.map((name) => [name, name])], "");
  const shown = h("span", { class: "note", role: "status" });
  byId("rename-filters").append(field("Find a name", text, true), field("Kind", kind), shown);
  const rows = h("tbody", {});
  const heads = ["Kind", "In A", "In B", "Agreeing sites", "Contradicting", "Where"];
  byId("rename-list").append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of names" },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), rows)));
  const after = h("div", {});
  byId("rename-list").append(after);
  const ranked = [...data.renames].sort((x, y) => y[3] - x[3]);

  function draw() {
    const wanted = text.value.toLowerCase();
    const found = ranked.filter((rename) => (!kind.value || rename[0] === kind.value) && `${rename[1]}\n${rename[2]}`.toLowerCase().includes(wanted));
    shown.textContent = `${count(found.length)} of ${count(ranked.length)}`;
    rows.replaceChildren(...found.slice(0, 100).map(renameRow));
    after.replaceChildren();
    if (found.length > 100) {
      const rest = () => { rows.append(...found.slice(100).map(renameRow)); after.replaceChildren(); };
      after.append(h("button", { type: "button", class: "more", click: rest }, `Show all ${count(found.length)}`));
    }
  }
  byId("rename-filters").addEventListener("input", draw);
  byId("rename-filters").addEventListener("submit", (event) => event.preventDefault());
  draw();
}

function renameRow([kind, a, b, agreeing, contradicting, sites = []]) {
  const place = (side, path, line) => {
    const href = permalink(side, path, line, line);
    const text = `${data.sides[side].paths[path]}:${line}`;
    return href ? h("a", { href, rel: "noreferrer" }, text) : text;
  };
  const where = sites.length && h("details", {}, h("summary", {}, `${count(sites.length)} ${sites.length === 1 ? "site" : "sites"}`),
    h("ul", {}, sites.map((site) => h("li", { class: "code-text" }, place(0, site[0], site[1]), " and ", place(1, site[2], site[3])))));
  return h("tr", {}, h("td", {}, kind), h("td", { class: "code-text" }, a), h("td", { class: "code-text" }, b),
    h("td", { class: "number" }, count(agreeing)), h("td", { class: "number" }, contradicting ? count(contradicting) : ""), h("td", {}, where || ""));
}
