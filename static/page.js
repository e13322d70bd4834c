// What every page does with scripts: times in the reader's own zone. Without scripts they stay as they are, in UTC.

const inWords = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Shows the times below `root` as the reader's clock and calendar have them, with the exact one on hover. */
export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    element.title = moment.toISOString().replace("T", " ").replace("Z", " UTC");
    element.textContent = inWords.format(moment);
  }
}

showLocalTimes(document);
