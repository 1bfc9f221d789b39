// The list of live streams, kept fresh.

/** Milliseconds between two looks. */
const REFRESH = 5_000;

const element = (id) => document.getElementById(id);
let shown = "";

element("host").textContent = location.host;
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), REFRESH);
refresh();

async function refresh() {
  try {
    const answer = await fetch("/api/streams", { cache: "no-store", signal: AbortSignal.timeout?.(REFRESH) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    element("problem").hidden = true;
  } catch {
    element("problem").textContent = "This server does not answer at the moment. The list comes back by itself.";
    element("problem").hidden = false;
  }
}

/** Shows `streams`, and leaves the page alone (and the focus where it is) if nothing is new. */
function show(streams) {
  const live = streams.filter((entry) => entry.live).sort((a, b) => a.stream.localeCompare(b.stream));
  const now = JSON.stringify(live);
  if (now === shown) return;
  const focused = document.activeElement?.getAttribute?.("href");
  shown = now;
  element("empty").hidden = live.length > 0;
  element("streams").hidden = live.length === 0;
  element("streams").replaceChildren(...live.map(card));
  element("count").textContent = live.length ? `${live.length} live` : "";
  if (focused) document.querySelector(`#streams a[href="${CSS.escape(focused)}"]`)?.focus();
}

function card({ stream, viewers }) {
  const link = make("a");
  link.href = `/watch/${stream}`;
  const badge = make("span", "Live", "badge");
  badge.dataset.live = true;
  const facts = make("span", "", "facts");
  facts.append(badge, make("span", viewers === 1 ? "1 viewer" : `${viewers.toLocaleString()} viewers`));
  link.append(make("strong", stream), facts);
  const item = make("li");
  item.append(link);
  return item;
}

function make(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
