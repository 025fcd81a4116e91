"use strict";
// Keeps the page of a running scan up to date, sends triage without leaving the page, and makes patches copyable. Pages
// work without it.
(() => {
  let source = null;
  let asked = 0; // numbers the requests; an answer that is older than what is shown is requested again
  let shown = 0;

  // What must not be taken from the reader: typed text, what has the focus or is unfolded, and findings judged on this page.
  const inUse = (node) => node.localName === "article" && (node.dataset.judged !== undefined ||
    node.contains(document.activeElement) || node.querySelector("details[open]") !== null ||
    [...node.querySelectorAll("textarea, select")].some((field) => field.value !== ""));

  // Attributes that belong to the reader or to this script, not to the server.
  const isOurs = (node, name) => name === "open" || name === "aria-busy" || name.startsWith("data-judged") ||
    (name === "hidden" && node.dataset.copy !== undefined);

  // A finding that was judged here changes only as the answers say that are about it: others may have been made before.
  const isSettled = (node, fresh) => node.localName === "article" && node.dataset.judged !== undefined && !fresh.querySelector(".done");

  // morph makes a node look like a fresh one and keeps all nodes that both have, so that focus, typed text, unfolded
  // details and the scroll position stay as they are.
  const morph = (node, fresh) => {
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== fresh.data) node.data = fresh.data;
      return;
    }
    if (isSettled(node, fresh)) return;
    for (const { name, value } of fresh.attributes) {
      if (!isOurs(node, name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
    }
    for (const { name } of [...node.attributes]) {
      if (!isOurs(node, name) && !fresh.hasAttribute(name)) node.removeAttribute(name);
    }
    if (node.localName !== "textarea") morphChildren(node, fresh);
  };

  const isAfter = (node, other) => (other.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;

  const morphChildren = (parent, fresh) => {
    const named = new Map([...parent.children].filter((child) => child.id).map((child) => [child.localName + child.id, child]));
    const wanted = new Set([...fresh.children].filter((child) => child.id).map((child) => child.localName + child.id));
    let at = parent.firstChild;
    const drop = (node) => {
      if (!inUse(node) && !(node.id && wanted.has(node.localName + node.id))) node.remove();
    };
    for (const next of [...fresh.childNodes]) {
      const same = next.id ? named.get(next.localName + next.id) : undefined;
      if (same) {
        if (at && (same === at || isAfter(same, at))) {
          while (at !== same) { const rest = at.nextSibling; drop(at); at = rest; }
          at = same.nextSibling;
        }
        morph(same, next);
      } else if (at && !next.id && !at.id && at.nodeName === next.nodeName) {
        morph(at, next);
        at = at.nextSibling;
      } else {
        const added = document.importNode(next, true);
        parent.insertBefore(added, at);
        if (added.nodeType === Node.ELEMENT_NODE) enhance(added);
      }
    }
    while (at) { const rest = at.nextSibling; drop(at); at = rest; }
  };

  const show = (fresh, turn) => {
    shown = turn;
    document.title = fresh.title;
    document.querySelectorAll("[data-live]").forEach((region) => {
      const other = fresh.getElementById(region.id);
      if (other) morph(region, other);
    });
    // Only the finding that was judged last says how the scan stands now.
    document.querySelectorAll("[data-judged]").forEach((card) => {
      if (!fresh.getElementById(card.id)?.querySelector(".done")) card.querySelectorAll(".now").forEach((node) => node.remove());
    });
    follow(fresh);
  };

  const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

  const refresh = async () => {
    const turn = ++asked;
    const address = location.href; // it says which finding was judged last
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return undefined;
    const page = await parse(answer);
    return turn < shown || address !== location.href ? refresh() : show(page, turn);
  };

  // follow listens for changes as long as the server says that some will come.
  const follow = (page) => {
    const live = page.querySelector("[data-events]");
    if (live && source && source.readyState !== EventSource.CLOSED) return;
    if (source) source.close();
    source = live ? new EventSource(live.dataset.events) : null;
    if (source) source.addEventListener("message", () => { refresh().catch(() => {}); });
  };

  // complain shows on a finding's card why it was not judged; typed text stays.
  const complain = (card, text) => {
    const notice = document.createElement("p");
    notice.className = "notice error";
    notice.textContent = text;
    card.querySelector(".outcome").replaceChildren(notice);
    delete card.dataset.judged;
  };

  const judge = async (form, button) => {
    const card = form.closest("article");
    const turn = ++asked;
    card.dataset.judged = "";
    const answer = await fetch(button.hasAttribute("formaction") ? button.formAction : form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form, button)), headers: { Accept: "text/html" },
    });
    const page = await parse(answer);
    if (!answer.ok) {
      complain(card, page.querySelector("main .text")?.textContent || `The server answered ${answer.status}. Try again.`);
    } else if (!page.getElementById(card.id)) {
      complain(card, "You are not logged in any more. Log in in another tab, then press the button again.");
    } else {
      form.reset();
      if (turn < shown) { // by another finding that was judged meanwhile
        morph(card, page.getElementById(card.id));
        return refresh();
      }
      history.replaceState(null, "", answer.url);
      show(page, turn);
      if (document.activeElement === document.body) card.querySelector("button[value=FP]")?.focus({ preventScroll: true });
    }
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("article form.triage")) return;
    event.preventDefault();
    if (form.hasAttribute("aria-busy")) return;
    form.setAttribute("aria-busy", "true");
    judge(form, event.submitter)
      .catch(() => complain(form.closest("article"), "The server could not be reached. Nothing was saved; try again."))
      .finally(() => form.removeAttribute("aria-busy"));
  });

  const enhance = (root) => root.querySelectorAll("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const answer = await fetch(button.dataset.copy);
      await navigator.clipboard.writeText(await answer.text());
      button.textContent = "Copied";
    });
  });

  // A link to a finding on another page of the scan leads there; the server does not get the part behind #.
  const find = () => {
    const id = /^#finding-(\d+)$/.exec(location.hash)?.[1];
    const [arrival] = performance.getEntriesByType("navigation");
    const base = document.querySelector("[data-findings]")?.dataset.findings;
    if (id && base && !document.getElementById(`finding-${id}`) && !arrival?.redirectCount) location.replace(base + id);
  };

  // In a list, j and k lead to the next and the previous alert, x selects it, ? tells so.
  const list = document.querySelector("[data-keys]");
  const move = (by) => {
    const links = [...list.querySelectorAll("a.what")];
    const at = links.indexOf(document.activeElement?.closest("li")?.querySelector("a.what"));
    links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
  };
  const keys = {
    j: () => move(1), k: () => move(-1), x: () => document.activeElement?.closest("li")?.querySelector("input")?.click(),
    "?": () => { const help = document.querySelector("[data-help]"); help.hidden = !help.hidden; },
  };
  if (list) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, select, [type=search]")) return;
      keys[event.key]?.();
    });
  }

  // One box selects the whole page.
  document.querySelectorAll("[data-pick]").forEach((pick) => {
    pick.closest("[hidden]").hidden = false;
    pick.addEventListener("change", () => {
      list.querySelectorAll("input[type=checkbox]").forEach((box) => { box.checked = pick.checked; });
    });
  });

  // Where the page is narrow, filters are unfolded on demand.
  if (matchMedia("(max-width: 52rem)").matches) document.querySelector("details.facets")?.removeAttribute("open");

  enhance(document);
  follow(document);
  find();
})();
