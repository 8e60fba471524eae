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

const BASE85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;/=>?@^_`{|}~";

/** Five letters of base 85 for each four bytes, as payload.py writes them. */
function fromBase85(text) {
  const values = new Uint8Array(128);
  for (let index = 0; index < 85; index++) values[BASE85.charCodeAt(index)] = index;
  const words = new DataView(new ArrayBuffer(text.length / 5 * 4));
  for (let index = 0, word = 0; index < text.length; index += 5, word += 4) {
    let sum = 0;
    for (let letter = 0; letter < 5; letter++) sum = sum * 85 + values[text.charCodeAt(index + letter)];
    words.setUint32(word, sum);
  }
  // the first word tells the length: base 85 may leave up to three bytes after the end
  return words.buffer.slice(4, 4 + words.getUint32(0));
}

/** The browser's own inflater unpacks the payload; no library is needed. */
async function unpack() {
  const gzipped = new Blob([fromBase85(byId("payload").textContent)]);
  const text = await new Response(gzipped.stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const [head, ...texts] = text.split("\0");
  const unpacked = JSON.parse(head);
  unpacked.text.forEach((place, index) => place.push(texts[index]));
  for (const finding of unpacked.findings) {
    finding.renames = finding.renames.map((rename) => {
      if (typeof rename === "number") return unpacked.renames[rename];
      return rename.length === 3 ? [...unpacked.renames[rename[0]].slice(0, 3), ...rename.slice(1)] : rename;
    });
  }
  return unpacked;
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

/** On paper every finding that the filters leave is open, and so are the tables that say what pictures show. */
function prepareForPaper() {
  const opened = [];
  addEventListener("beforeprint", () => {
    list?.portions.all();
    for (const finding of list?.listed ?? []) if (!isOpen(finding)) { setOpen(finding, true); opened.push(finding); }
    for (const details of document.querySelectorAll("details:not([open], #renames details)")) { details.open = true; opened.push(details); }
    document.querySelectorAll("#renames .more").forEach((button) => button.click());
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
  performance.mark("ready");
}

// deferred to the end of the body, so that the other parts below are defined
addEventListener("DOMContentLoaded", start);
