// The first rows of a file as they will be published, and what would be rejected, as the server sees them.

import { element, problemOf, rejectedTable, rows, size, table, thousands } from "./words.js";

const FIRST_BYTES = 256 * 1024; // of the file: what the server takes for a preview

/** Asks for the preview of a file. `settings` are the parameters of the file format. */
export async function askPreview(file, settings, signal) {
  const whole = file.size <= FIRST_BYTES;
  const query = new URLSearchParams({ ...settings, whole });
  const response = await fetch(`/preview/?${query}`, {
    method: "POST",
    headers: { "Content-Type": "text/csv", Accept: "application/json" },
    body: file.slice(0, FIRST_BYTES),
    signal,
  });
  if (response.status === 404) return { trouble: "This server has no preview. You can send the file anyway." };
  if (!response.ok) {
    const look = [400, 422].includes(response.status); // the file format that was set cannot be
    return { trouble: (await problemOf(response)).detail, look };
  }
  return { ...(await response.json()), part: whole ? "In the whole file" : `In its first ${size(FIRST_BYTES)}` };
}

/** One sentence about it. */
export function previewWords({ trouble, counts, part }) {
  if (trouble) return trouble;
  const rejected = counts.rejected ? `${rows(counts.rejected)} would be rejected` : "none would be rejected";
  return `${part}: ${rows(counts.accepted)} would be published, ${rejected}.`;
}

/** Tables of it, as elements: side by side where there is room. */
export function previewTables({ trouble, columns, rows: first, rejected, counts }) {
  if (trouble) return [];
  const parts = [];
  if (first.length) {
    const lines = first.map((row) => [thousands(row.number), ...columns.map((key) => String(row.body[key] ?? ""))]);
    const title = first.length < counts.accepted ? `The first ${first.length} messages` : "The messages";
    parts.push(element("div", {}, element("h3", {}, title), table("Messages", ["Row", ...columns], lines)));
  }
  if (rejected.length) {
    const title = rejected.length < counts.rejected ? `The first ${rejected.length} rejects` : "Rejected";
    parts.push(element("div", {}, element("h3", {}, title), rejectedTable(rejected)));
  }
  return parts;
}
