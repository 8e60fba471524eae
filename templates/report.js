"use strict";
// The page's own script. Text from the repositories only ever becomes text nodes and attributes, never markup.

/** Makes an element: attributes (functions become listeners; null and false are left out), then children. */
function h(tag, attributes, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en-US");
const bitsText = (bits) => (Math.abs(bits) < 10 ? bits.toFixed(1) : count(Math.round(bits)));

/** An E-value as wording.py writes it. */
function eText(e) {
  if (e === undefined) return "";
  if (e < 1e-300) return "E < 10⁻³⁰⁰";
  if (e >= 0.01) return "E " + (e < 100 ? Number(e.toPrecision(2)) : count(Math.round(e)));
  const [digits, exponent] = e.toExponential(0).split("e");
  const power = "10" + [...exponent].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻").join("");
  return "E " + (digits === "1" ? power : `${digits}·${power}`);
}

/** The browser's own inflater unpacks the payload; no library is needed. */
async function unpack() {
  const packed = Uint8Array.from(atob(byId("payload").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Web address of lines at the exact commit, or null where the host is not known. */
function permalink(side, path, start, end) {
  const { web, commit, paths, raw } = data.sides[side];
  if (!web) return null;
  const real = (raw[path] ?? paths[path]).split("/").map(encodeURIComponent).join("/");
  return web.replaceAll("{commit}", () => commit).replaceAll("{path}", () => real)
    .replaceAll("{start}", start).replaceAll("{end}", end);
}

/** A labelled control of a filter form. */
function field(label, control, wide) {
  control.id = `field-${fields++}`;
  return h("p", { class: wide ? "field wide" : "field" }, h("label", { for: control.id }, label), control);
}

function select(options, chosen) {
  return h("select", {}, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

/** Draws `items` into `parent` a portion at a time, as the reader scrolls or asks; returns a drawer of all of them. */
function drawInPortions(parent, items, draw, portion = 150) {
  let drawn = 0;
  const button = h("button", { type: "button", class: "more", click: () => more(portion) });
  const watcher = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && more(portion), {
    rootMargin: "600px",
  });
  function more(number) {
    const last = Math.min(drawn + number, items.length);
    const piece = document.createDocumentFragment();
    for (; drawn < last; drawn++) piece.append(draw(items[drawn]));
    button.before(piece);
    button.textContent = `Show more (${count(items.length - drawn)} left)`;
    if (drawn >= items.length) { watcher.disconnect(); button.remove(); }
  }
  parent.replaceChildren(button);
  watcher.observe(button);
  more(portion);
  return { all: () => more(items.length), until: (done) => { while (drawn < items.length && !done()) more(portion); } };
}

function chooseTheme() {
  const order = ["automatic", "light", "dark"];
  const button = byId("theme");
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(document.documentElement.dataset.theme ?? "automatic") + 1) % 3];
    document.documentElement.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
  });
}

/** On paper every finding that the filters leave is open, and so is every list. */
function prepareForPaper() {
  const opened = [];
  addEventListener("beforeprint", () => {
    list?.portions.all();
    for (const finding of list?.listed ?? []) if (!isOpen(finding)) { setOpen(finding, true); opened.push(finding); }
    for (const details of document.querySelectorAll("details:not([open])")) { details.open = true; opened.push(details); }
    document.querySelectorAll(".more").forEach((button) => button.click());
  });
  addEventListener("afterprint", () => {
    for (const item of opened.splice(0)) item instanceof Element ? (item.open = false) : setOpen(item, false);
  });
  byId("print").addEventListener("click", () => print());
}

let fields = 0;
let data = null;
let list = null;

async function start() {
  document.documentElement.classList.add("scripted");
  chooseTheme();
  try {
    data = await unpack();
  } catch (error) {
    const where = byId("count");
    if (where) where.textContent = `This browser could not unpack the findings (${error.message}); any browser of 2023 or later can.`;
    return;
  }
  indexText();
  if (data.findings.length) list = drawFindings();
  if (data.renames.length) drawRenames();
  prepareForPaper();
  addEventListener("hashchange", followAddress);
  followAddress();
  document.documentElement.dataset.ready = "true";
}

// deferred to the end of the body, so that the other parts below are defined
addEventListener("DOMContentLoaded", start);
