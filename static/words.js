// Numbers in people's words, as promise_pub/web/wording.py has them, and elements made of text alone: whatever a file
// holds is shown, never run.

export const thousands = (number) => number.toLocaleString("en-US");

export const rows = (number) => `${thousands(number)} ${number === 1 ? "row" : "rows"}`;

export function size(bytes) {
  let count = bytes;
  for (const unit of ["bytes", "KB", "MB"]) {
    if (count < 1024) return unit === "bytes" ? `${count} bytes` : `${count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return `${count.toFixed(1)} GB`;
}

export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `element("p", {className: "x"}, "text", otherElement)`: strings become text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const LONGEST = 300; // characters of a cell: more is not read

const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

/** A table that scrolls by itself where it is too wide; the first column holds numbers. Cells are text. */
export function table(name, head, lines) {
  const cells = (kind, values) =>
    values.map((value, at) => {
      const text = kind === "td" && at > 0 ? element("bdi", {}, short(value)) : value;
      const cell = element(kind, { className: at === 0 ? "number" : "" }, text);
      if (kind === "th") cell.scope = "col";
      return cell;
    });
  const made = element(
    "table",
    { className: "listed" },
    element("thead", {}, element("tr", {}, ...cells("th", head))),
    element("tbody", {}, ...lines.map((line) => element("tr", {}, ...cells("td", line)))),
  );
  const around = element("div", { className: "wide", tabIndex: 0 }, made);
  around.setAttribute("role", "region");
  around.setAttribute("aria-label", name);
  return around;
}

export function rejectedTable(rejected) {
  const lines = rejected.map((one) => [thousands(one.line), one.reason, one.excerpt]);
  return table("Rejected rows", ["Line", "Why", "Its beginning"], lines);
}

/** What an answer with problem details says, or what can be said of one without. */
export async function problemOf(response) {
  try {
    const told = JSON.parse(await response.text());
    if (typeof told.detail === "string") return told;
  } catch {
    // No problem details: a proxy's page, say.
  }
  return { detail: `The server answered ${response.status} ${response.statusText}`.trim() + "." };
}
