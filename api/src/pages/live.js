// Live updates of the pages of integrations and of operations. Without this script the page shows the same when it is loaded again.
"use strict";
(() => {
  const PAUSE_MS = 5000;
  const root = document.getElementById("live");
  const news = document.getElementById("live-news");
  const button = document.getElementById("live-switch");
  if (!root || !news || !button) return;
  // The page says where its news is.
  const path = root.dataset.path || "/integrations/live";
  let isPaused = false;
  let hasEnded = false;
  let etag = "";
  let timer = 0;

  const schedule = () => {
    clearTimeout(timer);
    if (!isPaused && !hasEnded && !document.hidden) timer = setTimeout(update, PAUSE_MS);
  };

  const end = (sentence) => {
    hasEnded = true;
    button.hidden = true;
    news.textContent = sentence;
  };

  // What a person is about to press or type into stays as it is.
  const isBusy = (element) => element.contains(document.activeElement);

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
      if (old && old.innerHTML !== piece.innerHTML && !isBusy(old)) old.replaceWith(piece);
    }
    for (const [id, state] of after) {
      if (before.get(id) === state) continue;
      // What had just happened is older than this.
      document.getElementById("happened")?.remove();
      const card = document.getElementById(id);
      card.dataset.state = state;
      const name = card.querySelector("h2, h3").textContent;
      const health = card.querySelector(".badge").textContent;
      // Only changes of health are announced, and not each number.
      news.textContent = `${name}: ${health}`;
    }
  };

  const update = async () => {
    try {
      const answer = await fetch(path, {
        headers: etag ? { "If-None-Match": etag } : {},
        cache: "no-store",
        credentials: "same-origin",
      });
      if (answer.status === 401) return end("You are not signed in any more. Open the page again, and sign in.");
      if (answer.status === 200) {
        const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (isPaused) return;
        etag = answer.headers.get("ETag") || "";
        replace(parsed.body);
      }
    } catch {
      // The network is away. The next try follows.
    }
    schedule();
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.textContent = isPaused ? "Go on with live updates" : "Pause live updates";
    news.textContent = isPaused ? "Live updates are paused." : "";
    if (isPaused) clearTimeout(timer);
    else update();
  });
  document.addEventListener("visibilitychange", schedule);
  schedule();
})();
