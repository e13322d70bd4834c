// The history: says how many runs are chosen, and compares as many as can be. Without scripts the server says so.

const compare = document.getElementById("compare");
const filter = document.getElementById("filter");
const LEAST = 2;

function count() {
  const most = Number(compare.dataset.most);
  const chosen = compare.querySelectorAll("input:checked").length;
  const button = compare.querySelector("button");
  button.disabled = chosen < LEAST || chosen > most;
  const hint = document.getElementById("compare_hint");
  if (chosen > most) hint.textContent = `${chosen} runs are chosen: at most ${most} fit side by side.`;
  else if (chosen === 1) hint.textContent = "1 run is chosen: choose another.";
  else if (chosen) hint.textContent = `${chosen} runs are chosen.`;
  else hint.textContent = `Choose ${LEAST} to ${most} runs, to see them side by side.`;
}

/** An address that names only what is asked for. */
function leaveOutEmpty() {
  for (const field of filter.elements) field.disabled = field.name && !field.value;
  setTimeout(() => [...filter.elements].forEach((field) => (field.disabled = false)));
}

if (compare) {
  compare.addEventListener("change", count);
  addEventListener("pageshow", count); // a page that is come back to keeps its marks
  count();
}
filter?.addEventListener("submit", leaveOutEmpty);
