// Live updates of the pages of integrations and of operations. Without this script the page shows the same when it is loaded again.
"use strict";
(() => {
  const PAUSE_MS = 5000;
  // A stream that has been silent for so long is late, and the page asks by itself.
  const LATE_MS = 10000;
  // A stream that was refused is tried again after this time.
  const REFUSED_MS = 60000;
  const root = document.getElementById("live");
  const news = document.getElementById("live-news");
  const button = document.getElementById("live-switch");
  if (!root || !news || !button) return;
  // The page says where its news is.
  const path = root.dataset.path || "/integrations/live";
  // Some pages have a stream of news. Browsers lend locks only to pages over https or from this machine.
  const stream = root.dataset.stream;
  const canStream = stream && navigator.locks && window.BroadcastChannel && window.EventSource;
  const tabs = canStream ? new BroadcastChannel(stream) : null;
  let isPaused = false;
  let hasEnded = false;
  let etag = "";
  let timer = 0;
  let heardAt = -LATE_MS;
  let leave = null;
  let isBehind = false;

  const isWatching = () => !isPaused && !hasEnded && !document.hidden;

  const schedule = () => {
    clearTimeout(timer);
    if (isWatching()) timer = setTimeout(look, PAUSE_MS);
  };

  const end = (sentence) => {
    hasEnded = true;
    stop();
    button.hidden = true;
    news.textContent = sentence;
  };

  // What a person is about to press or type into stays as it is, until the focus leaves it.
  const isBusy = (element) => {
    const isHeld = element.contains(document.activeElement);
    isBehind ||= isHeld;
    return isHeld;
  };

  const healths = (parent) =>
    new Map([...parent.querySelectorAll("[data-state]")].map((card) => [card.id, card.dataset.state]));

  const replace = (fresh) => {
    const before = healths(root);
    const after = healths(fresh);
    const isSame = before.size === after.size && [...after.keys()].every((id) => before.has(id));
    if (!isSame) {
      if (!isBusy(root)) root.replaceChildren(...fresh.childNodes);
      return;
    }
    for (const piece of fresh.querySelectorAll("[data-live]")) {
      const old = root.querySelector(`[data-live="${piece.dataset.live}"]`);
      if (!old || isBusy(old)) continue;
      // What a person has opened stays open.
      const opened = [...old.querySelectorAll("details")].map((details) => details.open);
      piece.querySelectorAll("details").forEach((details, index) => (details.open = opened[index] || details.open));
      if (old.innerHTML !== piece.innerHTML) old.replaceWith(piece);
    }
    for (const [id, state] of after) {
      if (before.get(id) === state) continue;
      // What had just happened is older than this.
      document.getElementById("happened")?.remove();
      const card = document.getElementById(id);
      card.dataset.state = state;
      const name = card.querySelector("h2, h3").textContent.trim();
      const health = card.querySelector(".badge").textContent;
      // Only changes of health are announced, and not each number.
      news.textContent = `${name}: ${health}`;
    }
  };

  const show = (fresh, version) => {
    // It may have been on its way when updates were paused.
    if (isPaused || version === etag) return;
    etag = version;
    replace(new DOMParser().parseFromString(fresh, "text/html").body);
  };

  const update = async () => {
    if (isBehind) etag = "";
    isBehind = false;
    try {
      const answer = await fetch(path, {
        headers: etag ? { "If-None-Match": etag } : {},
        cache: "no-store",
        credentials: "same-origin",
      });
      if (answer.status === 401) return end("You are not signed in any more. Open the page again, and sign in.");
      if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag") || "");
    } catch {
      // The network is away. The next try follows.
    }
    schedule();
  };

  // Asks only if the stream does not tell.
  const look = () => (performance.now() - heardAt < LATE_MS ? schedule() : update());

  const hear = (told) => {
    heardAt = performance.now();
    if (told) show(told.html, told.etag);
  };

  // One tab of the browser has the stream and passes the news on. Each stream takes one of the six connections that a
  // browser opens to a server. The others wait for the lock, and the next one takes over when that tab is closed or hidden.
  const lead = (left) =>
    new Promise((done) => {
      const source = new EventSource(stream);
      const close = () => {
        source.close();
        done();
      };
      const tell = (event) => {
        const told = JSON.parse(event.data);
        hear(told);
        tabs.postMessage(told);
      };
      source.addEventListener("news", tell);
      source.addEventListener("beat", tell);
      source.addEventListener("error", () => {
        // The browser opens a stream again that broke, and not one that was refused.
        if (source.readyState !== EventSource.CLOSED) return;
        close();
        setTimeout(start, REFUSED_MS);
      });
      left.addEventListener("abort", close);
    });

  const stop = () => {
    clearTimeout(timer);
    leave?.abort();
    leave = null;
  };

  const start = () => {
    stop();
    if (!isWatching()) return;
    schedule();
    if (!canStream) return;
    leave = new AbortController();
    const { signal } = leave;
    navigator.locks.request(stream, { signal }, () => (signal.aborted ? undefined : lead(signal))).catch(() => {});
  };

  tabs?.addEventListener("message", (event) => isWatching() && hear(event.data));
  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.textContent = isPaused ? "Go on with live updates" : "Pause live updates";
    news.textContent = isPaused ? "Live updates are paused." : "";
    start();
    if (!isPaused) update();
  });
  document.addEventListener("visibilitychange", () => {
    start();
    // What was missed meanwhile.
    if (isWatching()) update();
  });
  root.addEventListener("focusout", () => isBehind && isWatching() && setTimeout(update));
  start();
})();
