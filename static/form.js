// The form: a file dropped or chosen, its preview, a question before anything is deleted, an upload that is seen.
// Without scripts the form is sent as it stands.

import { askPreview, previewTables, previewWords } from "./preview.js";
import { send } from "./upload.js";
import { duration, element, problemOf, rejectedTable, rows, size, thousands } from "./words.js";

const $ = (id) => document.getElementById(id);
const form = $("send");
const input = $("input_file");
const LOOKS = ["columns", "header", "delimiter", "encoding"]; // fields of the file format
const PAUSE = 300; // milliseconds without a key before a preview is asked for
const STEPS = 4; // of an upload that are said aloud

// The file

function chosen() {
  const file = input.files[0];
  const fault = file ? faultOf(file) : "";
  input.setCustomValidity(fault);
  $("file_facts").textContent = fault || (file ? size(file.size) : "");
  $("file_facts").classList.toggle("fault", Boolean(fault));
  $("drop").classList.toggle("filled", Boolean(file));
  $("report").hidden = $("trouble").hidden = true;
  preview();
}

function faultOf(file) {
  const most = Number(form.dataset.mostUpload);
  if (file.size > most) return `The file is too large: ${size(file.size)}. The server takes at most ${size(most)}.`;
  return file.size ? "" : "The file is empty.";
}

function dropped(event) {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (uploading || !event.dataTransfer?.types.includes("Files")) return;
  if (event.dataTransfer.files.length === 1) {
    input.files = event.dataTransfer.files;
    chosen();
  } else {
    complain({ detail: "Drop one file at a time: none of these was taken." });
  }
}

function dragged(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault(); // a file dropped beside the form would be opened, and the form lost
  const leaves = event.type === "dragleave" && event.relatedTarget === null;
  $("drop").classList.toggle("over", !leaves);
}

// The preview

let asking = new AbortController();

async function preview() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const file = input.files[0];
  if (!file || faultOf(file)) {
    $("preview").hidden = true;
    return;
  }
  $("preview").setAttribute("aria-busy", "true");
  let told;
  try {
    told = await askPreview(file, looks(), signal);
  } catch {
    told = { trouble: "No preview: the server or the file cannot be read." };
  }
  if (signal.aborted) return;
  $("preview").hidden = false;
  $("preview").setAttribute("aria-busy", "false");
  $("preview_words").textContent = previewWords(told);
  $("preview_words").classList.toggle("fault", Boolean(told.trouble) || !told.counts.accepted);
  $("preview_tables").replaceChildren(...previewTables(told));
  if (told.look || told.counts?.accepted === 0) $("more").open = true; // where the file format is set
}

/** The settings that are not left as they come. */
function looks() {
  const fields = [...new FormData(form)].filter(([name, value]) => LOOKS.includes(name) && value);
  return Object.fromEntries(fields);
}

let pausing = 0;

function lookChanged(event) {
  if (!LOOKS.includes(event.target.name)) return;
  $("columns").disabled = $("header").checked; // the file has them
  clearTimeout(pausing);
  pausing = setTimeout(preview, event.target.name === "columns" ? PAUSE : 0);
}

// The question before anything is deleted

async function mayDelete() {
  const dialog = $("confirm");
  $("confirm_words").textContent = "Counting its rows …";
  $("confirm_yes").textContent = "Delete and send";
  $("confirm_yes").disabled = true;
  dialog.returnValue = "";
  dialog.showModal();
  countEmployees();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "delete";
}

async function countEmployees() {
  let holds = "The number of its rows is not known now.";
  let button = "Delete all and send";
  try {
    const response = await fetch("/employees", { headers: { Accept: "application/json" } });
    if (response.ok) {
      const { count } = await response.json();
      holds = count ? `It holds ${rows(count)} now.` : "It is empty now.";
      button = `Delete ${rows(count)} and send`;
    } else {
      holds += ` ${(await problemOf(response)).detail}`;
    }
  } catch {
    holds += " The server cannot be reached.";
  }
  $("confirm_words").textContent =
    `${holds} All rows that are there when the run starts are deleted, those of earlier runs too. This cannot be undone.`;
  $("confirm_yes").textContent = button;
  $("confirm_yes").disabled = false;
}

// The upload

let uploading = null;

async function submitted(event) {
  event.preventDefault();
  if (uploading) return;
  $("trouble").hidden = $("report").hidden = true;
  if ($("clear").checked && !$("dry_run").checked && !(await mayDelete())) return;
  begin();
  // The address says it before the file: a check waits for nobody's turn.
  const address = $("dry_run").checked ? `${form.action}?dry_run=true` : form.action;
  uploading = send(address, new FormData(form), progressed);
  const cancelled = new Promise((resolve) => ($("upload_cancel").onclick = () => resolve("cancelled")));
  const response = await Promise.race([uploading.answer, cancelled]);
  if (response === "cancelled") uploading.cancel();
  await answered(response);
}

function begin() {
  $("upload_bar").value = 0;
  $("upload_words").textContent = "Starting …";
  say("Upload started.");
  said = 0;
  form.classList.add("busy");
  $("fields").inert = true;
  $("sending").hidden = true;
  $("upload").hidden = false;
  $("upload_cancel").focus();
}

let said = 0;

function progressed({ loaded, total, rate, left }) {
  if (loaded >= total) {
    $("upload_bar").removeAttribute("value");
    $("upload_words").textContent = `${size(total)} uploaded. The server is checking the file …`;
    say("Upload complete. The server is checking the file.");
    return;
  }
  $("upload_bar").value = loaded / total;
  const soon = left === null ? "" : `, ${duration(left)} left`;
  $("upload_words").textContent = `${size(loaded)} of ${size(total)}, ${size(rate)} a second${soon}`;
  const step = Math.floor((loaded / total) * STEPS);
  if (step > said) say(`${(100 * step) / STEPS} % sent`);
  said = Math.max(said, step);
}

const say = (words) => ($("upload_said").textContent = words);

/** The form as it was, whatever was typed still in it. */
function end() {
  uploading = null;
  form.classList.remove("busy");
  $("fields").inert = false;
  $("sending").hidden = false;
  $("upload").hidden = true;
}

async function answered(response) {
  const where = response?.headers?.get("Location");
  if (response?.status === 202 && where) {
    location.assign(new URL(where, location.href).pathname);
    return;
  }
  const told = response?.status === 200 ? await response.json().catch(() => ({})) : null;
  end();
  $("submit").focus();
  if (told?.rows && !told.id) report(told);
  else if (told?.id) location.assign(`/runs/${told.id}`);
  else if (response === "cancelled") complain({ detail: "Upload cancelled. No run was started." });
  else if (response) complain(await problemOf(response), response.status);
  else complain({ detail: "The connection was lost, or the file changed during the upload. Check the newest runs below before you send it again." });
}

function complain({ detail, advice, rejected }, status = 0) {
  const parts = [element(detail.includes("\n") ? "pre" : "p", {}, detail)]; // lines show places by what stands below
  if (advice) parts.push(element("p", {}, advice));
  if (status === 401) parts.push(element("p", {}, element("a", { href: "/login?next=/" }, "Log in")));
  if (rejected?.length) parts.push(rejectedTable(rejected));
  $("trouble").replaceChildren(...parts);
  $("trouble").hidden = false;
  $("trouble").scrollIntoView({ block: "nearest" });
}

/** What a dry run found. */
function report({ rows: counts, rejected }) {
  const repeats = counts.duplicates === 1 ? "repeats" : "repeat";
  const twice = counts.duplicates ? ` ${rows(counts.duplicates)} ${repeats} an earlier one.` : "";
  $("report_words").textContent =
    `${rows(counts.read)} read: ${thousands(counts.accepted)} can be published, ${thousands(counts.rejected)} rejected.${twice} Nothing was sent.`;
  $("report_tables").replaceChildren(...(rejected?.length ? [rejectedTable(rejected)] : []));
  $("report").hidden = false;
  $("report").focus();
}

function dryRunChanged() {
  $("submit").textContent = $("dry_run").checked ? "Check the file" : "Send the file";
}

input.addEventListener("change", chosen);
form.addEventListener("input", lookChanged);
form.addEventListener("submit", submitted);
$("dry_run").addEventListener("change", dryRunChanged);
$("other_formats").addEventListener("click", () => ($("more").open = true)); // before the link goes into it
$("confirm_no").addEventListener("click", () => $("confirm").close());
$("confirm_yes").addEventListener("click", () => $("confirm").close("delete"));
for (const kind of ["dragenter", "dragover", "dragleave"]) document.addEventListener(kind, dragged);
document.addEventListener("drop", dropped);
addEventListener("pageshow", ({ persisted }) => persisted && end());
// A page that is loaded again keeps what was typed.
$("columns").disabled = $("header").checked;
dryRunChanged();
if (input.files.length) chosen();
