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
  if (chosen > most) hint.textContent = `${chosen} runs chosen: at most ${most} can be compared.`;
  else if (chosen === 1) hint.textContent = "1 run chosen: choose another.";
  else if (chosen) hint.textContent = `${chosen} runs chosen.`;
  else hint.textContent = `Choose ${LEAST} to ${most} runs to compare them.`;
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
