// The user's own: the library, what is thought of its papers, saved searches.

import { $, make } from "./elements.js";
import { askJson, pathOf, send } from "./server.js";

export const own = new Map(); // papers of the library by id
export const tags = () => [...new Set([...own.values()].flatMap((paper) => paper.tags))].sort();

// Whether there is a library for this page.
export async function readLibrary() {
  const { papers } = await askJson("api/library", {});
  own.clear();
  for (const paper of papers) own.set(paper.id, paper);
}

// Say what is thought of a paper, which comes into the library with it.
export async function think(id, marks) {
  own.set(id, await send("PUT", pathOf("api/library", id), marks));
}

export async function remove(id) {
  await send("DELETE", pathOf("api/library", id));
  own.delete(id);
}

// What is said below a paper of the library.
export function described(id) {
  const paper = own.get(id);
  if (!paper) return "";
  const words = [paper.opinion, paper.read ? "read" : "", paper.tags.join(", "), paper.note];
  return ["In your library", ...words].filter(Boolean).join(" · ");
}

export async function readSearches() {
  return (await askJson("api/searches", {})).searches;
}

export const saveSearch = (name, search) => send("PUT", pathOf("api/searches", name), search);
export const forgetSearch = (name) => send("DELETE", pathOf("api/searches", name));

// A line that the user types into a dialog; null if it is closed.
export function typed(title, label, value = "", choices = []) {
  const dialog = $("typed");
  $("typed-title").textContent = title;
  $("typed-label").textContent = label;
  $("typed-choices").replaceChildren(...choices.map((choice) => make("option", { value: choice })));
  $("typed-text").value = value;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const end = () => resolve(dialog.returnValue === "ok" ? $("typed-text").value.trim() : null);
    dialog.addEventListener("close", end, { once: true });
  });
}
