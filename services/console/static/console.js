// A page in view renews itself when the figures have changed, without losing place, focus or what is open.
// Where the console says that there is no such page any more, the page says so too.
"use strict";
(() => {
  const seconds = Number(document.body.dataset.renew || 0);
  let etag = null;

  const renew = async () => {
    if (document.hidden) return;
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(location.href, { headers, cache: "no-store", credentials: "same-origin" }).catch(() => null);
    if (answer && answer.status === 304) { tell(false); return; }
    const text = answer ? await answer.text().catch(() => "") : "";
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const failed = "error" in fresh.body.dataset;
    // A proxy in front of a console that is gone answers with pages of its own.
    if (!fresh.querySelector("main") || !(failed ? [401, 404, 503].includes(answer.status) : answer.ok)) { tell(true); return; }
    if ("error" in document.body.dataset) {
      if (!failed) location.reload();
      return;
    }
    tell(false);
    etag = answer.headers.get("etag");
    if (failed) { document.body.dataset.error = ""; document.title = fresh.title; }
    replace(fresh);
  };

  // The console itself says how old its figures are, but not while it cannot be asked.
  const tell = (unreached) => {
    const note = document.querySelector("[data-unreached]");
    if (unreached === note.hasChildNodes() || "error" in document.body.dataset) return;
    const said = document.createElement("p");
    said.className = "notice";
    said.textContent = note.dataset.unreached;
    note.replaceChildren(...(unreached ? [said] : []));
  };

  const replace = (fresh) => {
    const before = document.querySelector("main"), after = fresh.querySelector("main");
    if (!after) return;
    const [was, told] = [before, after].map((main) => main.querySelector(":scope > .notice"));
    for (const notice of [was, told]) if (notice) notice.remove();
    const old = [...before.children], parts = [...after.children];
    const tag = (one) => one.cloneNode(false).outerHTML;
    if (old.length === parts.length && old.every((one, at) => tag(one) === tag(parts[at]))) old.forEach((one, at) => swap(one, parts[at]));
    else swap(before, after);
    if (told) before.prepend(document.adoptNode(told));
    swap(document.querySelector("footer"), fresh.querySelector("footer"));
  };

  // Each element by what it is about, as lists change their order: the part with an id that it is in, and where it leads.
  const keyed = (elements) => {
    const found = new Map(), seen = new Map();
    for (const one of elements) {
      const about = JSON.stringify([(one.closest("[id]") || {}).id, one.tagName, one.getAttribute("href")]);
      seen.set(about, (seen.get(about) || 0) + 1);
      found.set(`${about} ${seen.get(about)}`, one);
    }
    return found;
  };

  const swap = (old, part) => {
    if (old.innerHTML === part.innerHTML) return;
    const open = keyed(old.querySelectorAll("details"));
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    const places = "a[href], button, input, summary, [tabindex]";
    const before = [...keyed(old.querySelectorAll(places))], focused = before.findIndex(([, one]) => one === document.activeElement);
    old.innerHTML = part.innerHTML;
    for (const [key, one] of keyed(old.querySelectorAll("details"))) if (open.has(key)) one.open = open.get(key).open;
    old.querySelectorAll(".scroll").forEach((one, at) => { if (scrolled[at]) [one.scrollLeft, one.scrollTop] = scrolled[at]; });
    old.querySelectorAll("[data-strip]").forEach(strip);
    if (focused >= 0) {
      const after = keyed(old.querySelectorAll(places));
      const again = after.get(before[focused][0]) || [...after.values()][focused];
      if (again) again.focus({ preventScroll: true });
    }
  };

  // The strip of slots is one stop of the keyboard: arrows move along its pieces, and each names itself.
  const chosen = new Map(); // where the piece begins that a reader chose, by strip; the newest piece is not kept, as time goes on
  const strip = (box) => {
    const pieces = [...box.querySelectorAll(".slot")], said = box.querySelector("[data-said]");
    if (!pieces.length) return;
    const starts = pieces.map((piece) => Number(piece.dataset.start)), last = pieces.length - 1;
    let at = chosen.has(box.id) ? Math.max(starts.filter((start) => start <= chosen.get(box.id)).length - 1, 0) : last;
    const show = () => {
      if (at < last) chosen.set(box.id, starts[at]);
      else chosen.delete(box.id);
      pieces.forEach((piece, number) => piece.classList.toggle("chosen", number === at));
      const name = pieces[at].querySelector("title").textContent;
      said.textContent = name;
      box.setAttribute("aria-valuenow", String(at + 1));
      box.setAttribute("aria-valuetext", name);
    };
    box.tabIndex = 0;
    box.setAttribute("role", "slider");
    box.setAttribute("aria-valuemin", "1");
    box.setAttribute("aria-valuemax", String(pieces.length));
    show();
    box.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      at = Math.min(Math.max(to, 0), last);
      show();
    });
    pieces.forEach((piece, number) => piece.addEventListener("click", () => { at = number; show(); }));
  };

  document.querySelectorAll("[data-strip]").forEach(strip);
  if (seconds) setInterval(renew, seconds * 1000);
})();
