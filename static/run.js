// A run's page while the run goes: what the server sends takes the place of what is there, and at the end so does the
// whole page. Nothing is computed here: every number and word comes from the server, as it does without scripts.

import { showLocalTimes } from "./page.js";

const AGAIN_AFTER = 3000; // milliseconds before the server is asked again
const LISTED_AFTER = 500; // milliseconds before a run that has ended is looked at again, while its rows are listed
const LOST_AFTER = 2500; // milliseconds without a stream before that is said: it may be back at once

const main = document.querySelector("main");
const { address } = document.querySelector("#run").dataset;
const notice = document.body.appendChild(document.createElement("p"));
notice.className = "unheard";
notice.role = "status";
let silence; // the timer that will say that the stream is lost

/** Makes `old` what `fresh` is, and touches nothing that is the same: focus, scrolling and open tables stay. */
function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh);
  if (!(old instanceof Element)) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, at) => (before[at] ? patch(before[at], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

function parsed(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  showLocalTimes(page);
  return page;
}

function showTitle() {
  document.title = document.querySelector("#outcome").dataset.title;
}

function showProgress(text) {
  for (const part of [...parsed(text).body.children]) patch(document.getElementById(part.id), part);
  showTitle();
}

/** The whole page anew; who had the focus on what is no longer there has it on the outcome. */
function showPage(text) {
  const focused = document.activeElement;
  patch(main, parsed(text).querySelector("main"));
  if (!focused.isConnected) document.querySelector("#outcome").focus({ preventScroll: true });
  showTitle();
  offerCopy();
}

function heard() {
  clearTimeout(silence);
  silence = undefined;
  say("");
}

function unheard() {
  silence ??= setTimeout(say, LOST_AFTER, "The connection to the server is lost. Trying again …");
}

function say(text) {
  if (notice.textContent !== text) notice.textContent = text;
}

function follow() {
  const stream = new EventSource(`${address}/stream?format=html`);
  stream.addEventListener("open", heard);
  stream.addEventListener("progress", (event) => showProgress(event.data));
  stream.addEventListener("end", () => {
    stream.close();
    look();
  });
  stream.addEventListener("error", () => {
    unheard(); // the browser tries again by itself, unless the server refused
    if (stream.readyState === EventSource.CLOSED) setTimeout(look, AGAIN_AFTER);
  });
}

/** Shows the run as it is now, and follows it while it goes. */
async function look() {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload(); // to the login
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    showPage(await answer.text());
  } catch {
    unheard();
    setTimeout(look, AGAIN_AFTER);
    return;
  }
  followWhileItGoes();
}

function followWhileItGoes() {
  const { dataset } = document.querySelector("#run");
  if ("going" in dataset) follow();
  else if ("listing" in dataset) setTimeout(look, LISTED_AFTER);
  else heard(); // there is nothing more to hear
}

/** Browsers let a page write to the clipboard only where nobody can listen on the way. */
function offerCopy() {
  const button = document.querySelector("#copy");
  button.hidden = !navigator.clipboard;
  button.onclick = async () => {
    await navigator.clipboard.writeText(document.querySelector("#command").textContent);
    button.textContent = "Copied";
  };
}

// The answer to a button or a form stands at the address that was asked: a reload would ask it once more.
if (location.pathname !== address) history.replaceState(null, "", address);
offerCopy();
followWhileItGoes();
