// Times in the reader's zone, keyboard shortcuts, and regions that keep themselves up to date.
import "./morphdom-2.7.8.1bea1e373386.js";

const MIN_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60000;
const AWAY_PAUSE_MS = 5000;
// The pause is so many times what the page cost the server: each open page takes a 500th of a core.
const PAUSES_PER_COST = 500;
const away = document.getElementById("away");
const zone = document.getElementById("zone");

// Times

const STYLES = {
  full: { dateStyle: "long", timeStyle: "medium" },
  exact: { year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 },
  short: { dateStyle: "long", timeStyle: "short" },
  clock: { timeStyle: "medium" },
};

function remembered(value) {
  try {
    if (value !== undefined) localStorage.setItem("times", value);
    return localStorage.getItem("times");
  } catch {
    return value; // storage is switched off
  }
}

function writeTimes(root) {
  const inUtc = remembered() === "utc";
  for (const time of root.querySelectorAll("time[data-style]")) {
    time.title ||= time.textContent; // UTC, as the server wrote it
    const style = STYLES[time.dataset.style];
    if (style) time.textContent = inUtc ? time.title : new Intl.DateTimeFormat(undefined, style).format(new Date(time.dateTime));
  }
  zone.hidden = false;
  zone.setAttribute("aria-pressed", inUtc);
}

zone.addEventListener("click", () => {
  remembered(remembered() === "utc" ? "" : "utc");
  writeTimes(document);
});

// Regions

let tag = "";
let timer;

// As a document: no text becomes HTML in a script, which the content security policy forbids.
function load() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = 30000;
    request.setRequestHeader("X-Fragment", "live");
    if (tag) request.setRequestHeader("If-None-Match", tag);
    request.onloadend = () => resolve(request);
    request.send();
  });
}

function costOf(request) {
  const found = /dur=([0-9.]+)/.exec(request.getResponseHeader("Server-Timing") ?? "");
  return found ? Number(found[1]) : AWAY_PAUSE_MS / PAUSES_PER_COST;
}

function put(fresh) {
  writeTimes(fresh);
  globalThis.morphdom(document.getElementById("live"), fresh, {
    onBeforeElUpdated(from, to) {
      if (from.tagName === "DETAILS") to.open = from.open;
      return from !== document.activeElement && !from.isEqualNode(to);
    },
  });
}

async function refresh() {
  timer = undefined;
  const request = await load();
  const fresh = request.status === 200 && request.response?.getElementById("live");
  away.hidden = Boolean(fresh) || request.status === 304;
  if (fresh) {
    tag = request.getResponseHeader("ETag") ?? "";
    put(fresh);
  }
  if (request.status === 401) location.reload(); // the session has ended
  else schedule(Math.min(Math.max(costOf(request) * PAUSES_PER_COST, MIN_PAUSE_MS), MAX_PAUSE_MS));
}

function schedule(pause) {
  const isLive = document.getElementById("live")?.hasAttribute("data-live");
  if (isLive && !document.hidden && timer === undefined) timer = setTimeout(refresh, pause);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  timer = undefined;
  schedule(0);
});

// Keys

const PAGES = { o: "/ui/", c: "/ui/campaigns", m: "/ui/messages", r: "/ui/replies", q: "/ui/quarantine", s: "/ui/statuses" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const link = PAGES[event.key] && document.querySelector(`nav a[href$="${PAGES[event.key]}"]`);
  if (event.key === "/") document.getElementById("search")?.focus();
  else if (event.key === "u") zone.click();
  else if (link) link.click();
  else return;
  event.preventDefault();
});

writeTimes(document);
schedule(MIN_PAUSE_MS);
