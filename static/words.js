// Numbers in people's words, as promise_pub/presentation/wording.py has them, and elements made of text alone: the content
// of a file is shown, never run.

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

// As promise_pub/text.py has them: what controls a terminal or turns the direction of writing, and halves of characters.
const HIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

const unmasked = (text) => text.replace(HIDDEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** `element("p", {className: "x"}, "text", otherElement)`: strings become text, which does not look like another one. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.map((child) => (typeof child === "string" ? unmasked(child) : child)));
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
  return table("Rejected rows", ["Line", "Why", "Start of the line"], lines);
}

// As promise_pub/remote/answers.py has them: an answer with one of these and without problem details is not the server's own.
const BY_A_PROXY = {
  401: "A proxy in front of the server, or another server, asks for its own login.",
  403: "A proxy in front of the server, or another server, refuses this.",
  407: "A proxy in front of the server asks for its own login.",
  408: "A proxy in front of the server stopped waiting for the file.",
  413: "A proxy in front of the server limits uploads; raise its limit (nginx: client_max_body_size), or split the file.",
  429: "A proxy in front of the server takes no more requests for now; try again later.",
  502: "A proxy in front of the server lost or could not open its connection to it; check that the server is up.",
  503: "A proxy in front of the server finds it unavailable; check that the server is up.",
  504: "A proxy in front of the server stopped waiting for its answer; check the runs before you send the file again, " +
    "and raise the proxy's limit (nginx: proxy_read_timeout).",
};

/** What an answer with problem details says, or what is known of one without. */
export async function problemOf(response) {
  try {
    const told = JSON.parse(await response.text());
    if (typeof told.detail === "string") return told;
  } catch {
    // No problem details: a proxy's page, say.
  }
  const answered = `${response.status} ${response.statusText}`.trim();
  return { detail: `The answer was ${answered}.`, advice: BY_A_PROXY[response.status] };
}
