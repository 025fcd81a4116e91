"use strict";
// Makes the page of a running scan follow it, and patches copyable. Pages work without it.
(() => {
  let source;

  const busy = (region) => {
    const typed = [...region.querySelectorAll("input[name=comments]")].some((input) => input.value !== "");
    return typed || (region.contains(document.activeElement) && document.activeElement.matches("input, button, summary, a"));
  };

  const articles = (region) => [...region.querySelectorAll("article[id]")].map((article) => article.id).join();

  // A region is replaced only where it differs, never under somebody's fingers, and stays as unfolded as it was. Findings
  // are replaced one by one where they are still the same ones.
  const replace = (region, fresh) => {
    if (fresh && articles(region) !== "" && articles(region) === articles(fresh)) {
      region.querySelectorAll("article[id]").forEach((article) => {
        swap(article, [...fresh.querySelectorAll("article[id]")].find((other) => other.id === article.id));
      });
      return;
    }
    swap(region, fresh);
  };

  const swap = (region, fresh) => {
    if (!fresh || region.innerHTML === fresh.innerHTML || busy(region)) return;
    const open = new Set([...region.querySelectorAll("details[open]")].map((details) => details.id));
    region.className = fresh.className;
    region.replaceChildren(...fresh.childNodes);
    region.querySelectorAll("details").forEach((details) => { if (open.has(details.id)) details.open = true; });
    enhance(region);
  };

  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = fresh.title;
    document.querySelectorAll("[data-live]").forEach((region) => replace(region, fresh.getElementById(region.id)));
    if (!fresh.querySelector("[data-events]")) source.close();
  };

  const enhance = (root) => root.querySelectorAll("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const answer = await fetch(button.dataset.copy);
      await navigator.clipboard.writeText(await answer.text());
      button.textContent = "Copied";
    });
  });

  enhance(document);
  const live = document.querySelector("[data-events]");
  if (!live) return;
  source = new EventSource(live.dataset.events);
  source.addEventListener("message", () => { refresh().catch(() => {}); });
})();
