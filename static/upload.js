// Sends a form with its file, and tells how far it is. fetch cannot tell that of an upload; XMLHttpRequest can.

const REMEMBERED = 5; // seconds over which the rate is taken

/** Starts sending. `told({loaded, total, rate, left})` is called as bytes go: bytes a second, seconds left.
 *
 * `answer` resolves with a Response, or null when nobody answered or it was cancelled by `cancel()`.
 */
export function send(url, form, told) {
  const request = new XMLHttpRequest();
  const answer = new Promise((resolve) => {
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Prefer", "respond-async");
    const pace = paceOf();
    request.upload.onprogress = ({ loaded, total }) => told({ loaded, total, ...pace(loaded, total) });
    request.onload = () => resolve(asResponse(request));
    request.onerror = request.onabort = () => resolve(null);
    request.send(form);
  });
  return { answer, cancel: () => request.abort() };
}

function asResponse(request) {
  const headers = { Location: request.getResponseHeader("Location") ?? "" };
  const body = [204, 205, 304].includes(request.status) ? null : request.responseText;
  return new Response(body, { status: request.status, statusText: request.statusText, headers });
}

/** The rate over the last seconds, so that it follows the line and does not flicker. */
function paceOf() {
  const marks = [[performance.now() / 1000, 0]];
  return (loaded, total) => {
    const now = performance.now() / 1000;
    marks.push([now, loaded]);
    while (marks.length > 2 && now - marks[0][0] > REMEMBERED) marks.shift();
    const [since, before] = marks[0];
    const rate = now > since ? (loaded - before) / (now - since) : 0;
    return { rate, left: rate ? (total - loaded) / rate : null };
  };
}
