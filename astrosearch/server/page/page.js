// The page: what is asked stands in the address, and what is shown follows from it.

import { $, make, marked, shape } from "./elements.js";
import { KINDS, PaperMap, SCALE, SIDE } from "./map.js";
import { described, forgetSearch, own, readLibrary, readSearches, remove, saveSearch, tags, think, typed } from "./own.js";
import { Refusal, ask, askJson, pathOf, send } from "./server.js";

const PAUSE = 120; // milliseconds without a key before a question is asked
const PER_PAGE = 20;
const RETRY = 2000; // milliseconds until a silent server is asked again
const MOST = 100; // papers that one question brings
const NARROWING = ["since", "until", "category", "author", "within", "beyond", "area"];
const FILTERS = [...NARROWING, "mode", "sort"];
const VIEWS = ["ask", "new", "map", "at", "k"]; // answer, new papers, map and its part, papers shown
const ASKED = ["q", "similar", "cite", "index", ...FILTERS, ...VIEWS];
const LISTS = ["open", "why", "compare"]; // of ids
const SIGNALS = {
  match: "match: chance in percent",
  score: "score",
  citations: "cited by",
  cosine: "similar in meaning (cosine)",
  dense_rank: "rank by meaning",
  bm25: "words in common (BM25)",
  lexical_rank: "rank by words",
  token_match: "word by word (late interaction)",
  author_match: "author named",
};

let state = {}; // of ASKED and LISTS
let hits = [];
let papers = {}; // what is known of a paper, by id
let nextOffset = null;
let current = -1; // the place of the paper that keys act on
let asking = null; // aborts the question under way
let turn = 0; // of the question that was asked last
let bars = []; // years and their numbers of papers

// State and address

function readAddress() {
  const parameters = new URLSearchParams(location.search);
  state = Object.fromEntries(ASKED.map((name) => [name, parameters.get(name) ?? ""]));
  for (const name of LISTS) state[name] = parameters.getAll(name);
  state.compare = state.compare.slice(0, 2);
}

function address(of = state) {
  const parameters = new URLSearchParams();
  for (const name of ASKED) if (of[name]) parameters.set(name, of[name]);
  for (const name of LISTS) {
    for (const id of of[name]) parameters.append(name, id);
  }
  const query = parameters.toString();
  return query ? `?${query}` : location.pathname;
}

let isTyping = false; // whether the newest entry of the history is of a query that is being typed

function remember(isTyped = false) {
  const target = address();
  if (target === (location.search || location.pathname)) return;
  history[isTyped && isTyping ? "replaceState" : "pushState"](null, "", target);
  isTyping = isTyped;
}

// Without a step in the history: where the map is, how many papers are shown.
function note(changes) {
  Object.assign(state, changes);
  history.replaceState(null, "", address());
}

function change(changes, { isTyped = false } = {}) {
  Object.assign(state, changes, { open: [], why: [], k: "" });
  remember(isTyped);
  showControls();
  search();
}

function goTo(target) {
  history.pushState(null, "", target);
  showAddress();
}

function showAddress() {
  isTyping = false;
  readAddress();
  $("q").value = state.q;
  showControls();
  search();
}

function showControls() {
  for (const name of ["since", "until", "author", "mode", "sort"]) $(name).value = state[name];
  showScopes();
  $("ask-button").setAttribute("aria-pressed", `${state.ask === "1"}`);
  $("new-button").setAttribute("aria-pressed", `${Boolean(state.new)}`);
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
  showAnswer(asking.signal);
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
    $("notes").replaceChildren(...answer.notes.map((text) => make("li", {}, ...said(text, answer.meant))));
    document.title = state.q ? `${state.q} – astrosearch` : "astrosearch";
    showLike();
    restore();
    showNew(answer);
    compare();
  } catch (error) {
    if (mine === turn) fail(error, search);
  }
}

// What of the papers is open.
function restore() {
  for (const id of state.open) showAbstract(id);
  for (const id of state.why) showWhy(id);
}

const filters = () => Object.fromEntries(NARROWING.map((name) => [name, state[name]]));

function answerFrom(offset, signal) {
  const { q, index, similar, cite, mode, sort } = state;
  if (state.new) {
    const { since, until, category, author } = state;
    const asked = { index, since, until, category, author, again: state.new === "all", k: MOST, marked: true };
    return askJson("api/new", asked, signal);
  }
  const k = offset ? PER_PAGE : Math.min(Number(state.k) || PER_PAGE, MOST);
  const page = { ...filters(), index, sort, offset: offset || "", k, marked: true };
  if (cite) return askJson("api/cite", { ...page, id: cite }, signal);
  if (similar) return askJson("api/similar", { ...page, id: similar }, signal);
  const isOpen = !q.trim() && !NARROWING.some((name) => state[name]);
  return askJson("api/query", { ...page, q, mode, ...(isOpen ? { since: "1900" } : {}) }, signal);
}

function summary(answer) {
  if (state.new && !hits.length) return "No new paper";
  if (state.new) return `${answer.new === 1 ? "1 new paper" : `${answer.new.toLocaleString("en")} new papers`} since ${answer.since}${answer.new > hits.length ? `, the first ${hits.length} shown` : ""}`;
  const many = answer.next_offset === null ? `${hits.length}` : `The first ${hits.length}`;
  const what = hits.length === 1 ? "1 paper" : `${many} papers`;
  return !hits.length ? "No paper" : state.q || state.similar || state.cite ? what : `${what}, the newest first`;
}

async function more() {
  if (nextOffset === null) return;
  const mine = turn;
  try {
    const answer = await answerFrom(nextOffset);
    if (mine !== turn) return;
    take(answer);
    note({ k: `${hits.length}` });
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
  nextOffset = answer.next_offset ?? null;
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
    $("hits").classList.remove("stale");
    drawYears();
    lightUp();
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

// A note; what was probably meant is a link that asks it.
function said(text, meant) {
  const words = "Did you mean ";
  const place = meant && text.endsWith("?") ? text.lastIndexOf(words) : -1;
  if (place < 0) return [text];
  const mended = { q: meant, open: [], why: [], k: "" };
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // into another tab
    event.preventDefault();
    $("q").value = meant;
    change(mended);
  };
  const link = make("a", { href: address({ ...state, ...mended }), onclick: follow }, meant);
  return [text.slice(0, place + words.length), link, "?"];
}

// Papers

function names(authors) {
  if (authors.length <= 3) return authors.join(", ");
  return `${authors[0]} and ${(authors.length - 1).toLocaleString("en")} more`;
}

function cited(hit) {
  return hit.citations ? `cited by ${hit.citations.toLocaleString("en")}` : "";
}

function item(hit, place) {
  const action = (text, name, act, state = {}) =>
    make("button", { type: "button", "data-act": name, ...state, onclick: act }, text);
  return make(
    "li",
    { class: own.has(hit.id) ? "hit own" : "hit", id: `paper-${hit.id}`, onfocusin: () => setCurrent(place) },
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
      hit.match === null ? null : make("span", { class: "match", title: "match: the chance, in percent, that this is what you look for" }, `${hit.match}`),
      hit.match !== null && hit.authors.length ? " · " : "",
      make("bdi", {}, names(hit.authors)),
      ["", state.new ? hit.published : hit.year, hit.categories.join(" "), hit.id, cited(hit)].filter((fact, place) => !place || fact).join(" · "),
    ),
    hit.reasons?.length ? make("p", { class: "reasons" }, hit.reasons.join("; ")) : null,
    make("p", { class: "own-place" }, described(hit.id)),
    make("div", { class: "abstract-place" }),
    make("div", { class: "why-place" }),
    make(
      "div",
      { class: "actions" },
      hit.contributions ? action("Why", "why", () => why(hit.id), { "aria-expanded": "false" }) : null,
      action("Similar", "similar", () => similar(hit.id)),
      action("Cite", "cite", () => citing(hit.id)),
      action("Compare", "compare", () => choose(hit.id), {
        "aria-pressed": `${state.compare.includes(hit.id)}`,
      }),
      action("BibTeX", "bibtex", () => copyBibtex(hit.id)),
      hit.url ? make("a", { href: hit.url, target: "_blank", rel: "noopener noreferrer" }, hit.url.includes("arxiv.org") ? "arXiv" : "Page") : null,
      ...(hasLibrary
        ? [
            action("Library", "library", () => keep(hit.id), { "aria-pressed": `${own.has(hit.id)}` }),
            action("Like", "liked", () => judge(hit.id, "liked"), { "aria-pressed": `${own.get(hit.id)?.opinion === "liked"}` }),
            action("Dislike", "disliked", () => judge(hit.id, "disliked"), { "aria-pressed": `${own.get(hit.id)?.opinion === "disliked"}` }),
            action("Tags", "tags", () => tag(hit.id)),
          ]
        : []),
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
    const paper = await askJson(pathOf("api/papers", id), { q: state.q, marked: true, index: state.index });
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
  if (!papers[id].contributions) return;
  const isOpen = state.why.includes(id);
  state.why = isOpen ? state.why.filter((other) => other !== id) : [...state.why, id];
  remember();
  if (!isOpen) return showWhy(id);
  element(id).querySelector(".why-place").replaceChildren();
  act(id, "why").setAttribute("aria-expanded", "false");
}

function showWhy(id) {
  if (!act(id, "why")) return;
  act(id, "why").setAttribute("aria-expanded", "true");
  const rows = Object.entries(papers[id])
    .filter(([name, value]) => typeof value === "number" && !["rank", "year", "version"].includes(name))
    .concat(Object.entries(papers[id].contributions).map(([name, value]) => [`adds: ${name}`, `${value > 0 ? "+" : ""}${value}`]))
    .map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, SIGNALS[name] ?? name.replaceAll("_", " ")), make("td", {}, `${value}`)),
    );
  element(id).querySelector(".why-place").replaceChildren(make("table", { class: "why" }, make("tbody", {}, ...rows)));
}

function similar(id) {
  $("q").value = "";
  change({ q: "", similar: id, cite: "", new: "" });
  scrollTo(0, 0);
}

function citing(id) {
  $("q").value = "";
  // What should be cited is looked for among all papers.
  change({ q: "", similar: "", cite: id, new: "", within: "", beyond: "", area: "" });
  scrollTo(0, 0);
}

async function showLike() {
  const id = state.similar || state.cite;
  $("like").hidden = !id;
  if (!id) return;
  const leave = make("button", { type: "button", onclick: () => change({ similar: "", cite: "" }) }, "Leave");
  const show = (...title) => $("like").replaceChildren(...(state.cite ? ["What ", ...title, " should cite"] : ["Papers like ", ...title]), leave);
  show(id);
  try {
    const paper = await askJson(pathOf("api/papers", id), { marked: true, index: state.index });
    if ((state.similar || state.cite) === id) show("“", make("bdi", {}, ...marked(paper.marked.title)), "”");
  } catch {
    // The answer itself says what is wrong.
  }
}

async function copyBibtex(id) {
  let entry;
  try {
    const parameters = { format: "bibtex", index: state.index };
    entry = await (await ask(pathOf("api/papers", id), parameters)).text();
  } catch (error) {
    return say(error instanceof Refusal ? error.message : "The server does not answer: nothing was copied.", true);
  }
  try {
    await copy(entry);
    say(`The BibTeX entry of ${id} is in the clipboard.`);
  } catch {
    say("The browser does not let the page write to the clipboard.", true);
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

// The answer in sentences

async function showAnswer(signal) {
  const place = $("answer");
  const isWanted = state.ask === "1" && state.q.trim() && !state.similar && !state.cite && !state.new;
  place.hidden = !isWanted;
  if (!isWanted) return place.replaceChildren();
  const head = make("h2", {}, "Answer");
  place.classList.add("stale");
  try {
    const answer = await askJson("api/ask", { q: state.q, index: state.index, ...filters(), marked: true }, signal);
    const source = (number) => answer.sources[number - 1];
    const link = (number) =>
      make("button", { type: "button", class: "source", title: source(number).marked.title.join(""), onclick: () => openPaper(source(number).id) }, `[${number}]`);
    place.replaceChildren(
      head,
      ...answer.notes.map((text) => make("p", { class: "facts" }, ...said(text, answer.meant))),
      ...answer.groups.flatMap((group) => [
        group.heading ? make("h3", {}, group.heading) : null,
        make("ul", {}, ...group.quotes.map((quote) => make("li", {}, "“", ...marked(quote.marked.text), "” ", link(quote.source)))),
      ]).filter(Boolean),
      make("ol", { class: "sources" }, ...answer.sources.map((paper) => make("li", {}, link(paper.source), " ", ...marked(paper.marked.title), make("span", { class: "facts" }, ` ${names(paper.authors)}, ${paper.year}`)))),
      answer.sources.length ? make("p", { class: "facts" }, "Sentences of abstracts, quoted as they are: nothing is written, and nothing is checked.") : "",
    );
  } catch (error) {
    if (error.name !== "AbortError") place.replaceChildren(head, make("p", {}, error instanceof Refusal ? error.message : "The server does not answer."));
  }
  if (!signal.aborted) place.classList.remove("stale");
}

function toggleAnswer() {
  change({ ask: state.ask === "1" ? "" : "1", similar: "", cite: "", new: "" });
}

// The library

let hasLibrary = false; // whether the server shows its library to this page
let libraryIsRead;
const libraryRead = new Promise((resolve) => { libraryIsRead = resolve; }); // keys may come before it

async function changed(id, what, said) {
  try {
    await what();
    say(said());
  } catch (error) {
    say(error instanceof Refusal ? error.message : "The server does not answer: nothing was changed.", true);
    return;
  }
  const place = element(id);
  if (place) {
    place.classList.toggle("own", own.has(id));
    place.querySelector(".own-place").textContent = described(id);
    act(id, "library").setAttribute("aria-pressed", `${own.has(id)}`);
    for (const opinion of ["liked", "disliked"]) act(id, opinion).setAttribute("aria-pressed", `${own.get(id)?.opinion === opinion}`);
  }
  showScopes();
  lightUp();
}

async function keep(id) {
  if (!(await libraryRead)) return;
  if (!own.has(id)) return changed(id, () => think(id, { index: state.index || null }), () => `${id} is in your library.`);
  const { tags, note } = own.get(id);
  if ((tags.length || note) && !confirm("Its tags and its note go with it. Remove it from your library?")) return;
  changed(id, () => remove(id), () => `${id} is in your library no more.`);
}

async function judge(id, wanted) {
  if (!(await libraryRead)) return;
  const opinion = own.get(id)?.opinion === wanted ? "" : wanted;
  changed(id, () => think(id, { opinion, index: state.index || null }), () => (opinion ? `${id} is ${opinion}.` : `${id} is neither liked nor disliked.`));
}

async function tag(id) {
  if (!(await libraryRead)) return;
  const text = await typed("Tags", "Tags of the paper, with commas between them", own.get(id)?.tags.join(", ") ?? "", tags());
  if (text === null) return;
  const wanted = text.split(",").map((one) => one.trim()).filter(Boolean);
  changed(id, () => think(id, { tags: wanted, index: state.index || null }), () => (wanted.length ? `Tags of ${id}: ${own.get(id).tags.join(", ")}.` : `${id} has no tags.`));
}

function showScopes() {
  const scopes = [["", "all papers"], ["within:library", "in my library"]];
  if (hasLibrary) {
    scopes.push(["within:liked", "liked"], ["within:disliked", "disliked"], ["within:read", "read"], ["within:unread", "unread"]);
    scopes.push(...tags().map((name) => [`within:tag:${name}`, `tag ${name}`]), ["beyond:library", "not in my library"]);
  }
  const chosen = state.within ? `within:${state.within}` : state.beyond ? `beyond:${state.beyond}` : "";
  if (!scopes.some(([value]) => value === chosen)) scopes.push([chosen, chosen.replace(":", " ")]);
  $("scope").replaceChildren(...scopes.map(([value, text]) => make("option", { value }, text)));
  $("scope").value = chosen;
  $("scope-field").hidden = !hasLibrary || Boolean(state.cite);
}

async function showOwn() {
  for (const name of ["own-searches", "new-button"]) $(name).hidden = !hasLibrary;
  if (!hasLibrary) return libraryIsRead(false);
  try {
    await readLibrary();
    libraryIsRead(true);
    showScopes();
    await showSearches();
    for (const hit of hits) element(hit.id)?.replaceWith(item(hit, hits.indexOf(hit)));
    restore();
    lightUp();
  } catch {
    // The answer to the query says what is wrong.
  }
}

async function showSearches() {
  const searches = await readSearches();
  $("searches").replaceChildren(
    ...searches.map(({ name, parameters }) => {
      const query = new URLSearchParams();
      for (const key of ASKED) if (parameters[key] != null && key !== "k") query.set(key, parameters[key]);
      const target = `?${query}`;
      return make("li", {},
        make("a", { href: target, onclick: (event) => { event.preventDefault(); goTo(target); } }, name),
        make("button", { type: "button", "aria-label": `Delete the search ${name}`, onclick: () => forget(name) }, "×"));
    }),
  );
  return searches;
}

async function save() {
  if (!hasLibrary) return;
  const name = await typed("Save this search", "Name of letters, digits, '.', '_', '-'");
  if (!name) return;
  try {
    const isThere = (await readSearches()).some((search) => search.name === name);
    if (isThere && !confirm(`There is a search ${name} already. Replace it?`)) return;
    const { area, ...rest } = filters();
    if (area) return say("A part of the map cannot be saved: leave the lasso first.", true);
    const given = Object.entries({ ...rest, mode: state.mode, sort: state.sort, index: state.index }).filter(([, value]) => value);
    await saveSearch(name, { q: state.q, replace: isThere, ...Object.fromEntries(given) });
    await showSearches();
    say(`Saved as ${name}. In a terminal: astrosearch run ${name}`);
  } catch (error) {
    say(error instanceof Refusal ? error.message : "The server does not answer: nothing was saved.", true);
  }
}

async function forget(name) {
  if (!confirm(`Delete the search ${name}?`)) return;
  try {
    await forgetSearch(name);
    await showSearches();
    $("save").focus();
  } catch (error) {
    say(error instanceof Refusal ? error.message : "The server does not answer: nothing was deleted.", true);
  }
}

// New papers

function toggleNew() {
  if (!hasLibrary) return;
  $("q").value = "";
  change({ new: state.new ? "" : "1", q: "", similar: "", cite: "" });
}

function showNew(answer) {
  $("new-tools").hidden = !state.new;
  if (!state.new) return;
  const see = async () => {
    try {
      const { newest } = await send("POST", "api/seen", { index: state.index || null });
      change({ new: "1" });
      say(`All papers up to ${newest} count as seen.`);
    } catch (error) {
      say(error instanceof Refusal ? error.message : "The server does not answer: nothing was changed.", true);
    }
  };
  const other = state.new === "all" ? "" : "all";
  $("new-tools").replaceChildren(
    make("strong", {}, answer.library ? "New papers, those first that fit your library" : "New papers"),
    ...(answer.new ? [make("button", { type: "button", onclick: see }, "Mark all as seen")] : []),
    make("button", { type: "button", onclick: () => change({ new: other || "1" }) }, other ? "Those seen before, too" : "Only those not seen"),
  );
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
    place.replaceChildren(make("p", {}, `${papers[id]?.marked.title.join("") ?? id} – choose another paper to compare it with. `, leave));
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
const MOST_CORNERS = 60; // of a lasso

async function showMap() {
  $("map-view").hidden = !state.map;
  $("map-button").setAttribute("aria-expanded", `${Boolean(state.map)}`);
  if (!state.map) return;
  if (mapped !== state.index) {
    const wanted = state.index;
    mapped = wanted;
    map = null;
    $("map").replaceChildren();
    $("map-view").classList.remove("without");
    $("map-said").textContent = "The map is read.";
    try {
      const bytes = await (await ask("api/map", { index: wanted })).arrayBuffer();
      if (mapped !== wanted) return;
      map = new PaperMap($("map"), bytes, { hover: point, open: (paper) => openPaper(paper.id), lasso: keepLasso, moved });
    } catch (error) {
      mapped = null;
      $("map-view").classList.add("without");
      $("map-said").textContent = error instanceof Refusal ? `${error.message}. On the server: astrosearch map ${wanted || $("index").dataset.default || ""}` : "The map cannot be read: the server does not answer.";
      return;
    }
  }
  if (!map) return;
  if (state.at) map.look(...state.at.split(",").map(Number));
  const corners = state.area ? state.area.split(",").map(Number) : [];
  map.path = corners.flatMap((x, place) => (place % 2 ? [] : [[x, corners[place + 1]]]));
  lightUp();
  restOfMap();
}

function keepLasso(path) {
  setLasso(false);
  const every = Math.ceil(path.length / MOST_CORNERS);
  const corners = path.filter((_, place) => place % every === 0).flat();
  change({ cite: "", area: corners.map((value) => Math.min(Math.max(Math.round(value), 0), SIDE)).join() });
}

let moving = 0;

function moved() {
  clearTimeout(moving);
  moving = setTimeout(() => {
    if (!map || !state.map) return;
    const isWhole = map.zoom === 1 && map.x === SIDE / 2 && map.y === SIDE / 2;
    note({ at: isWhole ? "" : [Math.round(map.x), Math.round(map.y), Number(map.zoom.toPrecision(3))].join() });
  }, PAUSE);
}

function showLegend(by) {
  const colour = (channels) => `rgb(${channels.join(" ")})`;
  const entry = (text, channels) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = colour(channels);
    return make("span", {}, swatch, text);
  };
  const last = KINDS.length - 1;
  const entries = by === "category"
    ? map.categories.slice(0, KINDS.length).map((name, place) => entry(place < last ? name : "others", KINDS[place]))
    : SCALE.map((channels, place) => entry({ 0: `${map.ends[0]}`, [SCALE.length - 1]: `${map.ends[1]}` }[place] ?? "", channels));
  $("legend").replaceChildren(...entries, entry("this answer", [226, 40, 40]), ...(own.size ? [entry("your library", [255, 0, 200])] : []));
}

function restOfMap() {
  if (!map) return;
  const missing = map.missing ? ` · ${map.missing.toLocaleString("en")} newer ones are not on it yet` : "";
  $("map-said").textContent = `${map.papers.toLocaleString("en")} papers${missing}${map.note}`;
}

function lightUp() {
  if (!map) return;
  $("map-by").querySelector("[value=citations]").hidden = !map.has_citations;
  const by = state.map === "category" || (state.map === "citations" && map.has_citations) ? state.map : "year";
  $("map-by").value = by;
  map.show({ hits: hits.map((hit) => hit.id), own: [...own.keys()], by });
  showLegend(by);
}

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
    const known = papers[id]?.marked ?? (await askJson(pathOf("api/papers", id), { marked: true, index: state.index })).marked;
    if (pointed === id) $("map-said").textContent = `${known.title.join("")} · ${paper.year}`;
  } catch {
    // Its identifier is shown.
  }
}

function openPaper(id) {
  if (!element(id)) {
    $("q").value = id;
    change({ q: id, similar: "", cite: "", new: "" });
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
  Object.assign(state, { map: state.map ? "" : "year", at: "" });
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
  a: toggleAnswer,
  n: toggleNew,
  S: save,
};
const KEYS_OF_A_PAPER = {
  Enter: toggle,
  w: why,
  s: similar,
  e: citing,
  c: choose,
  b: copyBibtex,
  i: keep,
  l: (id) => judge(id, "liked"),
  d: (id) => judge(id, "disliked"),
  t: tag,
  o: (id) => papers[id].url && window.open(papers[id].url, "_blank", "noopener,noreferrer"),
};

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
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
    hasLibrary = answer.library;
    await showOwn();
  } catch {
    // The answer to the query says what is wrong.
  }
}

function listen() {
  let typing = 0;
  $("q").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ q: $("q").value, similar: "", cite: "", new: "" }, { isTyped: true }), PAUSE);
  });
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    isTyping = isTyping && $("q").value === state.q;
    change({ q: $("q").value, similar: $("q").value ? "" : state.similar, cite: $("q").value ? "" : state.cite, new: $("q").value ? "" : state.new });
    isTyping = false;
  });
  for (const name of ["since", "until", "author", "mode", "sort"]) {
    $(name).addEventListener("change", () => change({ [name]: $(name).value.trim() }));
  }
  $("index").addEventListener("change", () => {
    const { value, dataset } = $("index");
    change({ index: value === dataset.default ? "" : value, similar: "", cite: "", compare: [] });
  });
  $("scope").addEventListener("change", () => {
    const [kind, ...rest] = $("scope").value.split(":");
    change({ within: "", beyond: "", ...(kind ? { [kind]: rest.join(":") } : {}) });
  });
  $("clear").addEventListener("click", () => {
    change(Object.fromEntries(FILTERS.map((name) => [name, ""])));
    $("q").focus();
  });
  $("more").addEventListener("click", more);
  $("map-button").addEventListener("click", toggleMap);
  $("ask-button").addEventListener("click", toggleAnswer);
  $("new-button").addEventListener("click", toggleNew);
  $("save").addEventListener("click", save);
  $("map-by").addEventListener("change", () => { state.map = $("map-by").value; remember(); lightUp(); });
  $("lasso").addEventListener("click", () => setLasso(!map?.lassoing));
  $("map-in").addEventListener("click", () => map?.zoomAt(1.5));
  $("map-out").addEventListener("click", () => map?.zoomAt(1 / 1.5));
  $("map-all").addEventListener("click", () => map?.look());
  $("leave-area").addEventListener("click", () => change({ area: "" }));
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", $("token").value.trim());
    $("token-form").hidden = true;
    start();
  });
  document.addEventListener("keydown", press);
  addEventListener("popstate", showAddress);
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
