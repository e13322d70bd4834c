// Shows what changes while runs of jobs go on: asks for the page every two seconds, while it is seen.

import { showLocalTimes } from "/static/page.js";

const EVERY = 2000; // milliseconds
const PATIENCE = 15000; // milliseconds for an answer

const parts = [...document.querySelectorAll("[data-live]")];
const shown = new Map(); // the source of each part, before its times were put into the reader's zone

function replace(page) {
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (!fresh) continue;
    part.toggleAttribute("data-going", fresh.hasAttribute("data-going"));
    if (shown.get(part.id) === fresh.innerHTML) continue;
    shown.set(part.id, fresh.innerHTML);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(...fresh.childNodes);
    showLocalTimes(part);
    if (focused) document.getElementById(focused)?.focus();
  }
}

async function renew() {
  if (!document.hidden) {
    try {
      const headers = { Accept: "text/html" };
      const answer = await fetch(location.href, { headers, signal: AbortSignal.timeout(PATIENCE) });
      if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The server is asked again.
    }
  }
  if (document.querySelector("[data-going]")) setTimeout(renew, EVERY);
}

setTimeout(renew, EVERY);
