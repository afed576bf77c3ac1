// The page: what is asked stands in the address, and what is shown follows from it.

import { PaperMap } from "./map.js";

const PAUSE = 120; // milliseconds without a key before a question is asked
const PER_PAGE = 20;
const RETRY = 2000; // milliseconds until a silent server is asked again
const ASKED = ["q", "similar", "since", "until", "category", "author", "mode", "sort", "index", "area", "map"];
const FILTERS = ["since", "until", "category", "author", "mode", "sort", "area"];
const SIGNALS = {
  match: "match: chance in percent",
  score: "score",
  cosine: "similar in meaning (cosine)",
  dense_rank: "rank by meaning",
  bm25: "words in common (BM25)",
  lexical_rank: "rank by words",
  token_match: "word by word (late interaction)",
  author_match: "author named",
};

const $ = (id) => document.getElementById(id);
let state = {}; // of ASKED, and `open` and `compare`: lists of ids
let hits = [];
let papers = {}; // what is known of a paper, by id
let nextOffset = null;
let current = -1; // the place of the paper that keys act on
let asking = null; // aborts the question under way
let turn = 0; // of the question that was asked last
let bars = []; // years and their numbers of papers

// Elements

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function shape(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function marked(pieces) {
  return pieces.map((piece, place) => (place % 2 ? make("mark", {}, piece) : piece));
}

// The server

class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== "" && one != null) query.append(name, one);
  }
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`${path}?${query}`, { headers, signal });
  if (response.ok) return response;
  let detail = response.statusText;
  try {
    detail = (await response.json()).detail;
  } catch {
    // A proxy's error is not JSON.
  }
  throw new Refusal(response.status, detail);
}

const askJson = async (...question) => (await ask(...question)).json();

// State and address

function readAddress() {
  const parameters = new URLSearchParams(location.search);
  state = Object.fromEntries(ASKED.map((name) => [name, parameters.get(name) ?? ""]));
  state.open = parameters.getAll("open");
  state.compare = parameters.getAll("compare").slice(0, 2);
}

function address() {
  const parameters = new URLSearchParams();
  for (const name of ASKED) if (state[name]) parameters.set(name, state[name]);
  for (const name of ["open", "compare"]) {
    for (const id of state[name]) parameters.append(name, id);
  }
  const query = parameters.toString();
  return query ? `?${query}` : location.pathname;
}

let isTyping = false; // whether the newest entry of the history is of a query that is being typed

function remember(typed = false) {
  const target = address();
  if (target === (location.search || location.pathname)) return;
  history[typed && isTyping ? "replaceState" : "pushState"](null, "", target);
  isTyping = typed;
}

function change(changes, { typed = false } = {}) {
  Object.assign(state, changes, { open: [] });
  remember(typed);
  showControls();
  search();
}

function showControls() {
  for (const name of ["since", "until", "author", "mode", "sort"]) $(name).value = state[name];
  $("index").value = state.index || $("index").dataset.default || "";
  $("leave-area").hidden = !state.area;
  showMap();
  $("clear").hidden = !FILTERS.some((name) => state[name]);
}

// Questions

async function search() {
  const mine = ++turn;
  asking?.abort();
  asking = new AbortController();
  $("hits").classList.add("stale");
  facets();
  try {
    const began = performance.now();
    const answer = await answerFrom(0, asking.signal);
    if (mine !== turn) return; // a newer question was asked meanwhile
    hits = [];
    current = -1;
    $("hits").replaceChildren();
    take(answer);
    const milliseconds = Math.round(performance.now() - began);
    say(`${summary(answer)} · ${milliseconds} ms`);
    $("notes").replaceChildren(...answer.notes.map((note) => make("li", {}, note)));
    document.title = state.q ? `${state.q} – astrosearch` : "astrosearch";
    showLike();
    for (const id of state.open) showAbstract(id, { keep: true });
    compare();
  } catch (error) {
    if (mine === turn) fail(error, search);
  }
}

function answerFrom(offset, signal) {
  const { q, similar, map: _, ...rest } = Object.fromEntries(ASKED.map((name) => [name, state[name]]));
  const page = { ...rest, offset: offset || "", k: PER_PAGE, marked: true };
  if (similar) {
    delete page.mode;
    return askJson("api/similar", { ...page, id: similar }, signal);
  }
  const isOpen = !q.trim() && !["since", "until", "category", "author", "area"].some((name) => rest[name]);
  return askJson("api/query", { ...page, q, ...(isOpen ? { since: "1900" } : {}) }, signal);
}

function summary(answer) {
  const many = answer.next_offset === null ? `${hits.length}` : `The first ${hits.length}`;
  const what = hits.length === 1 ? "1 paper" : `${many} papers`;
  return !hits.length ? "No paper" : state.q || state.similar ? what : `${what}, the newest first`;
}

async function more() {
  if (nextOffset === null) return;
  const mine = turn;
  try {
    const answer = await answerFrom(nextOffset);
    if (mine !== turn) return;
    take(answer);
    say(summary(answer));
  } catch (error) {
    fail(error, more);
  }
}

function take(answer) {
  for (const hit of answer.hits) {
    papers[hit.id] = hit;
    if (element(hit.id)) continue; // on an earlier page
    hits.push(hit);
    $("hits").append(item(hit, hits.length - 1));
  }
  nextOffset = answer.next_offset;
  $("more").hidden = nextOffset === null;
  $("hits").classList.remove("stale");
  drawYears();
  lightUp();
}

let retrying = 0;

function fail(error, again) {
  if (error.name === "AbortError") return;
  clearTimeout(retrying);
  if (error.status === 401) {
    $("token-form").hidden = false;
    say("This server wants its token.", true);
    $("token").focus();
  } else if (error instanceof Refusal && error.status !== 503) {
    $("hits").replaceChildren();
    hits = [];
    $("notes").replaceChildren();
    $("more").hidden = true;
    say(error.message, true);
  } else {
    const what = error instanceof Refusal ? error.message : "The server does not answer";
    say(`${what}. It is asked again.`, true);
    retrying = setTimeout(again, RETRY);
  }
}

function say(text, isBad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", isBad);
}

// Papers

function names(authors) {
  if (authors.length <= 3) return authors.join(", ");
  return `${authors[0]} and ${(authors.length - 1).toLocaleString("en")} more`;
}

function item(hit, place) {
  const action = (text, name, act, state = {}) =>
    make("button", { type: "button", "data-act": name, ...state, onclick: act }, text);
  return make(
    "li",
    { class: "hit", id: `paper-${hit.id}`, onfocusin: () => setCurrent(place) },
    make(
      "h2",
      {},
      make(
        "button",
        { type: "button", "data-act": "open", "aria-expanded": "false", onclick: () => toggle(hit.id) },
        ...marked(hit.marked.title),
      ),
    ),
    make(
      "p",
      { class: "facts" },
      make("span", { class: "match", title: "match: the chance, in percent, that this is what you look for" }, `${hit.match}`),
      ` · ${[names(hit.authors), hit.year, hit.categories.join(" "), hit.id].filter(Boolean).join(" · ")}`,
    ),
    make("div", { class: "abstract-place" }),
    make("div", { class: "why-place" }),
    make(
      "div",
      { class: "actions" },
      action("Why", "why", () => why(hit.id), { "aria-expanded": "false" }),
      action("Similar", "similar", () => similar(hit.id)),
      action("Compare", "compare", () => choose(hit.id), {
        "aria-pressed": `${state.compare.includes(hit.id)}`,
      }),
      action("BibTeX", "bibtex", () => copyBibtex(hit.id)),
      make("a", { href: hit.url, target: "_blank", rel: "noopener noreferrer" }, "arXiv"),
    ),
  );
}

const element = (id) => $(`paper-${id}`);
const act = (id, name) => element(id)?.querySelector(`[data-act="${name}"]`);

function toggle(id) {
  const isOpen = state.open.includes(id);
  state.open = isOpen ? state.open.filter((other) => other !== id) : [...state.open, id];
  remember();
  if (isOpen) {
    element(id).querySelector(".abstract-place").replaceChildren();
    act(id, "open").setAttribute("aria-expanded", "false");
  } else {
    showAbstract(id);
  }
}

async function showAbstract(id) {
  const mine = turn;
  if (!element(id)) return;
  act(id, "open").setAttribute("aria-expanded", "true");
  try {
    const paper = await askJson(`api/papers/${id}`, { q: state.q, marked: true, index: state.index });
    if (mine !== turn || !state.open.includes(id)) return;
    element(id)
      .querySelector(".abstract-place")
      .replaceChildren(
        make("p", { class: "abstract" }, ...marked(paper.marked.abstract)),
        ...(paper.is_summary
          ? [make("p", { class: "summary-note" }, "A summary by astrosearch, not the authors’ abstract.")]
          : []),
        ...(paper.authors.length > 3
          ? [make("p", { class: "facts" }, paper.authors.slice(0, 30).join(", "), paper.authors.length > 30 ? " …" : "")]
          : []),
        ...(paper.journal_ref ? [make("p", { class: "facts" }, paper.journal_ref)] : []),
      );
  } catch (error) {
    fail(error, () => showAbstract(id));
  }
}

function why(id) {
  const place = element(id).querySelector(".why-place");
  const isOpen = place.hasChildNodes();
  act(id, "why").setAttribute("aria-expanded", `${!isOpen}`);
  if (isOpen) return place.replaceChildren();
  const rows = Object.entries(papers[id])
    .filter(([name, value]) => typeof value === "number" && !["rank", "year", "version"].includes(name))
    .concat(Object.entries(papers[id].contributions).map(([name, value]) => [`adds: ${name}`, `${value > 0 ? "+" : ""}${value}`]))
    .map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, SIGNALS[name] ?? name.replaceAll("_", " ")), make("td", {}, `${value}`)),
    );
  place.replaceChildren(make("table", { class: "why" }, make("tbody", {}, ...rows)));
}

function similar(id) {
  $("q").value = "";
  change({ q: "", similar: id });
  scrollTo(0, 0);
}

async function showLike() {
  const id = state.similar;
  $("like").hidden = !id;
  if (!id) return;
  const leave = make("button", { type: "button", onclick: () => change({ similar: "" }) }, "Leave");
  $("like").replaceChildren(`Papers like ${id}`, leave);
  try {
    const paper = await askJson(`api/papers/${id}`, { marked: true, index: state.index });
    if (state.similar === id) {
      $("like").replaceChildren("Papers like “", ...marked(paper.marked.title), "”", leave);
    }
  } catch {
    // The answer itself says what is wrong.
  }
}

async function copyBibtex(id) {
  try {
    const parameters = { format: "bibtex", index: state.index };
    const entry = await (await ask(`api/papers/${id}`, parameters)).text();
    await copy(entry);
    say(`The BibTeX entry of ${id} is in the clipboard.`);
  } catch (error) {
    if (error instanceof Refusal) fail(error, () => copyBibtex(id));
    else say("The browser does not let the page write to the clipboard.", true);
  }
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make("textarea", { readonly: "" }); // without https, there is no other way
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("not copied");
}

// Comparison

function choose(id) {
  const others = state.compare.filter((other) => other !== id);
  state.compare = others.length < state.compare.length ? others : [...state.compare.slice(-1), id];
  remember();
  compare();
}

async function compare() {
  for (const hit of hits) {
    act(hit.id, "compare")?.setAttribute("aria-pressed", `${state.compare.includes(hit.id)}`);
  }
  const place = $("comparison");
  const chosen = [...state.compare];
  place.hidden = !chosen.length;
  if (!chosen.length) return;
  const leave = make("button", { type: "button", onclick: () => { state.compare = []; remember(); compare(); } }, "Close");
  if (chosen.length === 1) {
    const [id] = chosen;
    place.replaceChildren(make("p", {}, `${papers[id]?.title ?? id} – choose another paper to compare it with. `, leave));
    return;
  }
  try {
    const pair = await askJson("api/compare", { id: chosen, index: state.index });
    if (chosen.join() !== state.compare.join()) return;
    const [view] = pair.encoders;
    place.replaceChildren(
      make("h2", {}, pair.pair.join("  ·  ")),
      make("p", {}, `${pair.verdict} Cosine ${view.cosine}; of each other’s nearest papers, they are number ${view.ranks.join(" and ")}.`),
      ...pair.sentences.map((both) =>
        make("blockquote", {}, make("p", {}, both.one), make("p", {}, both.other), make("p", { class: "facts" }, `cosine ${both.cosine}`)),
      ),
      leave,
    );
  } catch (error) {
    place.replaceChildren(make("p", {}, `${error.message} `), leave);
  }
}

// Filters

const known = new Map(); // facets by their question

async function facets() {
  const { index, author, category } = state;
  const question = JSON.stringify([index, author, category]);
  try {
    if (!known.has(question)) {
      known.set(question, askJson("api/facets", { index, author, category }));
    }
    const answer = await known.get(question);
    if (question !== JSON.stringify([state.index, state.author, state.category])) return;
    const years = Object.keys(answer.years).map(Number);
    const [first, last] = [Math.min(...years), Math.max(...years)];
    bars = [];
    for (let year = first; year <= last; year++) bars.push([year, answer.years[year] ?? 0]);
    drawYears();
    showCategories(answer.categories);
  } catch {
    known.delete(question); // the answer to the query says what is wrong
  }
}

function showCategories(counts) {
  const entries = Object.entries(counts).slice(0, 10);
  if (state.category && !(state.category in Object.fromEntries(entries))) {
    entries.unshift([state.category, counts[state.category] ?? 0]);
  }
  $("categories").replaceChildren(
    ...entries.map(([name, count]) =>
      make(
        "li",
        {},
        make(
          "button",
          {
            type: "button",
            "aria-pressed": `${state.category === name}`,
            onclick: () => change({ category: state.category === name ? "" : name }),
          },
          name,
          make("span", { class: "count" }, count.toLocaleString("en")),
        ),
      ),
    ),
  );
}

const HEIGHT = 72;
const FOOT = 14; // for the first and the last year

function drawYears() {
  const chart = $("years");
  const width = chart.clientWidth || 240;
  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  chart.replaceChildren();
  if (!bars.length) return;
  const counts = new Map();
  for (const hit of hits) counts.set(hit.year, (counts.get(hit.year) ?? 0) + 1);
  const most = Math.max(...bars.map(([, count]) => count), 1);
  const mostHits = Math.max(...counts.values(), 1);
  const step = width / bars.length;
  const [since, until] = chosenYears();
  const bar = (kind, place, share, part) => {
    const height = Math.max(share * (HEIGHT - FOOT), 1);
    const y = HEIGHT - FOOT - height;
    chart.append(shape("rect", { class: kind, x: place * step, y, width: Math.max(step * part, 1), height }));
  };
  bars.forEach(([year, count], place) => {
    if (count) bar("of-index", place, Math.sqrt(count / most), 0.85);
    if (counts.has(year)) bar("of-answer", place, 0.6 * (counts.get(year) / mostHits), 0.4);
  });
  if (since || until) {
    const first = Math.max((since || bars[0][0]) - bars[0][0], 0);
    const last = Math.min((until || bars.at(-1)[0]) - bars[0][0], bars.length - 1);
    const area = { class: "chosen", x: first * step, y: 0, height: HEIGHT - FOOT };
    chart.append(shape("rect", { ...area, width: Math.max(last - first + 1, 0) * step }));
  }
  chart.append(shape("text", { x: 0, y: HEIGHT - 2 }, bars[0][0]));
  chart.append(shape("text", { x: width, y: HEIGHT - 2, "text-anchor": "end" }, bars.at(-1)[0]));
}

function chosenYears() {
  return [state.since, state.until].map((day) => Number(day.slice(0, 4)) || 0);
}

function brush() {
  const chart = $("years");
  let from = null;
  const yearAt = (event) => {
    const box = chart.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * bars.length);
    return bars[Math.min(Math.max(place, 0), bars.length - 1)][0];
  };
  const span = (event) => [from, yearAt(event)].sort((a, b) => a - b).map(String);
  chart.addEventListener("pointerdown", (event) => {
    if (!bars.length) return;
    from = yearAt(event);
    chart.setPointerCapture(event.pointerId);
  });
  chart.addEventListener("pointermove", (event) => {
    if (from === null) return;
    [state.since, state.until] = span(event);
    drawYears();
  });
  chart.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [since, until] = span(event);
    from = null;
    change({ since, until });
  });
  chart.addEventListener("pointercancel", () => {
    from = null;
    readAddress();
    drawYears();
  });
  chart.addEventListener("dblclick", () => change({ since: "", until: "" }));
}

// The map

let map = null; // of the index `mapped`
let mapped = null;

async function showMap() {
  const isShown = state.map === "1";
  $("map-view").hidden = !isShown;
  $("map-button").setAttribute("aria-expanded", `${isShown}`);
  if (!isShown) return;
  if (mapped !== state.index) {
    const wanted = state.index;
    mapped = wanted;
    map = null;
    $("map").replaceChildren();
    $("map-said").textContent = "The map is read.";
    try {
      const bytes = await (await ask("api/map", { index: wanted })).arrayBuffer();
      if (mapped !== wanted) return;
      map = new PaperMap($("map"), bytes, {
        hover: point,
        open: (paper) => openFromMap(paper.id),
        lasso: (corners) => { setLasso(false); change({ area: corners.join() }); },
      });
      map.show({ by: $("map-by").value });
      lightUp();
    } catch (error) {
      mapped = null;
      $("map-said").textContent = error instanceof Refusal ? `${error.message}. On the server: astrosearch map` : "The map cannot be read: the server does not answer.";
      return;
    }
  }
  map?.outline(state.area ? state.area.split(",").map(Number) : []);
  restOfMap();
}

function restOfMap() {
  if (!map) return;
  const missing = map.missing ? ` · ${map.missing.toLocaleString("en")} newer ones are not on it yet` : "";
  $("map-said").textContent = `${map.papers.toLocaleString("en")} papers${missing}${map.note}`;
}

const lightUp = () => map?.show({ hits: hits.map((hit) => hit.id) });

let pointed = ""; // the paper under the pointer

async function point(paper) {
  const id = paper?.id ?? "";
  if (id === pointed) return;
  pointed = id;
  if (!paper) return restOfMap();
  $("map-said").textContent = `${id} · ${paper.year}`;
  await new Promise((done) => setTimeout(done, PAUSE));
  if (pointed !== id) return;
  try {
    const known = papers[id]?.marked ?? (await askJson(`api/papers/${id}`, { marked: true, index: state.index })).marked;
    if (pointed === id) $("map-said").textContent = `${known.title.join("")} · ${paper.year}`;
  } catch {
    // Its identifier is shown.
  }
}

function openFromMap(id) {
  if (!element(id)) {
    $("q").value = id;
    change({ q: id, similar: "" });
    state.open = [id];
    return remember();
  }
  if (!state.open.includes(id)) toggle(id);
  element(id).scrollIntoView({ block: "center" });
}

function setLasso(isOn) {
  if (map) map.lassoing = isOn;
  $("lasso").setAttribute("aria-pressed", `${isOn}`);
  $("map").classList.toggle("lassoing", isOn);
}

function toggleMap() {
  state.map = state.map === "1" ? "" : "1";
  remember();
  showControls();
}

// Keys

function setCurrent(place) {
  if (place === current) return;
  if (hits[current]) element(hits[current].id)?.removeAttribute("aria-current");
  current = place;
  element(hits[place].id).setAttribute("aria-current", "true");
}

function step(by) {
  const place = Math.min(Math.max(current + by, 0), hits.length - 1);
  if (!hits[place]) return;
  setCurrent(place);
  act(hits[place].id, "open").focus({ preventScroll: true });
  element(hits[place].id).scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => { $("q").focus(); $("q").select(); },
  j: () => step(1),
  k: () => step(-1),
  "?": () => $("help").showModal(),
  m: more,
  g: toggleMap,
};
const KEYS_OF_A_PAPER = {
  Enter: toggle,
  w: why,
  s: similar,
  c: choose,
  b: copyBibtex,
  o: (id) => window.open(papers[id].url, "_blank", "noopener,noreferrer"),
};

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("help").open) return;
  const target = event.target;
  const isField = target.matches("input:not([type=button]), select, textarea");
  if (isField) {
    if (event.key === "Escape") {
      event.preventDefault(); // which would empty the search box
      target.blur();
    }
    if (target === $("q") && event.key === "ArrowDown") {
      event.preventDefault();
      step(1);
    }
    return;
  }
  if (event.key === "Enter" && target.matches("button, a, summary")) return; // the browser's own
  const general = KEYS[event.key];
  const ofPaper = hits[current] && KEYS_OF_A_PAPER[event.key];
  if (!general && !ofPaper) return;
  event.preventDefault();
  if (general) general();
  else ofPaper(hits[current].id);
}

// Beginning

async function showIndexes() {
  try {
    const answer = await askJson("api/indexes", {});
    const choices = answer.indexes.filter((index) => !index.error);
    $("index").dataset.default = answer.default;
    $("index").hidden = choices.length < 2;
    $("index").replaceChildren(
      ...choices.map((index) =>
        make("option", { value: index.name }, `${index.name}, ${index.papers.toLocaleString("en")} papers`),
      ),
    );
    showControls();
  } catch {
    // The answer to the query says what is wrong.
  }
}

function listen() {
  let typing = 0;
  $("q").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ q: $("q").value, similar: "" }, { typed: true }), PAUSE);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    isTyping = isTyping && $("q").value === state.q;
    change({ q: $("q").value, similar: $("q").value ? "" : state.similar });
    isTyping = false;
  });
  for (const name of ["since", "until", "author", "mode", "sort"]) {
    $(name).addEventListener("change", () => change({ [name]: $(name).value.trim() }));
  }
  $("index").addEventListener("change", () => {
    const { value, dataset } = $("index");
    change({ index: value === dataset.default ? "" : value, similar: "", compare: [] });
  });
  $("clear").addEventListener("click", () => {
    change(Object.fromEntries(FILTERS.map((name) => [name, ""])));
    $("q").focus();
  });
  $("more").addEventListener("click", more);
  $("map-button").addEventListener("click", toggleMap);
  $("map-by").addEventListener("change", () => map?.show({ by: $("map-by").value }));
  $("lasso").addEventListener("click", () => setLasso(!map?.lassoing));
  $("map-in").addEventListener("click", () => map?.zoomAt(1.5));
  $("map-out").addEventListener("click", () => map?.zoomAt(1 / 1.5));
  $("map-all").addEventListener("click", () => map?.reset());
  $("leave-area").addEventListener("click", () => change({ area: "" }));
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", $("token").value.trim());
    $("token-form").hidden = true;
    start();
  });
  document.addEventListener("keydown", press);
  addEventListener("popstate", () => {
    isTyping = false;
    readAddress();
    $("q").value = state.q;
    showControls();
    search();
  });
  addEventListener("resize", drawYears);
  brush();
}

function start() {
  known.clear();
  showIndexes();
  search();
}

// A token in the address is behind #, which no browser sends; it does not stay there.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname + location.search);
}
if (matchMedia("(max-width: 46rem)").matches) $("filters").open = false;
readAddress();
$("q").value = state.q;
listen();
showControls();
start();
