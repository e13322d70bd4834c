// The API's page: Swagger UI in place of the plain list, in the theme that the system wishes.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

// HEAD is answered like GET, and there is one server: lines that tell nothing new.
const withoutNoise = (api) => {
  for (const path of Object.values(api.paths)) delete path.head;
  delete api.servers;
  return api;
};

// What Swagger UI leaves out for those who cannot see it, or have no mouse: names of fields, ways to scroll.
const NAMELESS = "select:not([aria-label]), input:not([aria-label]), textarea:not([aria-label])";
const SCROLLING = "pre:not([tabindex]), .opblock-body:not([tabindex]), .model-box:not([tabindex])";

const nameOf = (field) => {
  const row = field.closest("[data-param-name]") || field.closest("tr, label, .opblock-section");
  return row?.dataset.paramName || row?.querySelector(".parameter__name, td, h4")?.textContent.trim() || "Value";
};

const complete = (page) => {
  for (const field of page.querySelectorAll(NAMELESS)) field.setAttribute("aria-label", nameOf(field));
  for (const region of page.querySelectorAll(SCROLLING)) region.tabIndex = 0;
};

const show = (spec) => {
  const page = document.getElementById("api_page");
  new MutationObserver(() => complete(page)).observe(page, { childList: true, subtree: true });
  SwaggerUIBundle({
    spec,
    domNode: page,
    validatorUrl: null,
    deepLinking: false, // its links would stand inside buttons
    defaultModelsExpandDepth: 0,
    syntaxHighlight: false, // its colours are too pale to read
    onComplete: () => { document.getElementById("api_list").hidden = true; },
  });
};

dark.addEventListener("change", paint);
paint();
fetch("/openapi.json")
  .then((answer) => answer.ok ? answer.json() : Promise.reject(new Error(answer.statusText)))
  .then((api) => show(withoutNoise(api)))
  .catch(() => { document.getElementById("api_page").hidden = true; }); // the list stays
