// Follows the journal: asks every two seconds for the events after those that are shown, while the page is seen.

import { showLocalTimes } from "/static/page.js";
import { element } from "/static/words.js";

const EVERY = 2000; // milliseconds
const PATIENCE = 15000; // milliseconds for an answer
const MOST_ROWS = 500;
const LONGEST = 120; // characters of a body

const button = document.getElementById("live");
const told = document.getElementById("live_told");
const around = document.getElementById("events");
const rows = around.querySelector("tbody");
const url = button.dataset.url;
const filtered = "filtered" in button.dataset;

let after = Number(button.dataset.after);
let timer = 0;
let asking = false;

const following = () => button.getAttribute("aria-pressed") === "true";

function say(words) {
  if (told.textContent !== words) told.textContent = words;
}

function excerpt(event) {
  if (event.data === null && event.size !== 4) return `${event.size} bytes`;
  const text = JSON.stringify(event.data);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function cell(className, name, ...children) {
  const made = element("td", { className }, ...children);
  if (name) made.dataset.name = name;
  return made;
}

const bdi = (text) => element("bdi", {}, text ?? "–");

function row(event) {
  const link = element("a", { href: `/journal/${event.seq}` }, String(event.seq));
  const time = element("time", { dateTime: event.at }, event.at);
  return element(
    "tr",
    { className: "new" },
    cell("number", "", link),
    cell("when", "", time),
    cell("topic", "", bdi(event.topic)),
    cell("text", "Sender", bdi(event.sender)),
    cell("text", "Subject", bdi(event.subject)),
    cell("", "Source", event.source),
    cell("excerpt", "", element("code", {}, bdi(excerpt(event)))),
  );
}

function show(answer) {
  for (const old of rows.querySelectorAll(".new")) old.classList.remove("new");
  const made = answer.events.map(row).reverse();
  if (made.length) {
    rows.prepend(...made);
    while (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
    showLocalTimes(rows);
    around.hidden = false;
    document.getElementById("none")?.remove();
  }
  // A search may stop before the newest. Of a flood nobody reads more than fits.
  if (answer.next === null) after = Math.max(after, answer.newest, ...answer.events.slice(-1).map((one) => one.seq));
  else after = filtered ? answer.next : Math.max(answer.next, answer.newest - MOST_ROWS);
  return made.length;
}

async function ask() {
  const response = await fetch(`${url}&after=${after}&limit=${MOST_ROWS}`, { signal: AbortSignal.timeout(PATIENCE) });
  if (response.status === 401 || response.status === 403) {
    stop("You are not logged in any more: reload the page.");
    return;
  }
  if (!response.ok) throw new Error(response.statusText);
  const count = show(await response.json());
  if (count) say(`${count} new ${count === 1 ? "event" : "events"}.`);
  else if (!told.textContent.includes("new")) say("Waiting for events.");
}

async function follow() {
  clearTimeout(timer);
  if (asking || !following() || document.hidden) return;
  asking = true;
  try {
    await ask();
  } catch {
    say("The server does not answer: trying again.");
  }
  asking = false;
  if (following() && !document.hidden) timer = setTimeout(follow, EVERY);
}

function stop(words) {
  button.setAttribute("aria-pressed", "false");
  clearTimeout(timer);
  say(words);
}

button.addEventListener("click", () => {
  if (following()) {
    stop("");
  } else {
    button.setAttribute("aria-pressed", "true");
    say("Waiting for events.");
    follow();
  }
});
document.addEventListener("visibilitychange", follow);
button.hidden = false;
