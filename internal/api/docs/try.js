// Sends the calls that people try on the page of the API, and shows the answers. The token stays in this page.
"use strict";

const token = document.querySelector("#token");

function address(form) {
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") {
      path = path.replace("{" + field.name + "}", encodeURIComponent(field.value));
    } else if (field.value) {
      query.set(field.name, field.value);
    }
  }
  return path.replace(/^\//, "") + (query.size ? "?" + query : "");
}

async function call(form) {
  const { method } = form.dataset;
  const body = form.elements.body?.value;
  const headers = { Authorization: "Bearer " + token.value.trim() };
  if (body) {
    headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(address(form), { method, headers, body: body || undefined });
  const text = (await answer.text()).slice(0, 20000);
  try {
    return [answer.status, JSON.stringify(JSON.parse(text), null, 2)];
  } catch {
    return [answer.status, text];
  }
}

for (const form of document.querySelectorAll("form[data-path]")) {
  form.hidden = false;
  const out = form.querySelector("output");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!token.value.trim()) {
      out.textContent = "Paste a token at the top of the page first.";
      token.focus();
      return;
    }
    if (form.dataset.method !== "GET" && !confirm("This changes what Scanhook keeps. Send it?")) {
      return;
    }
    out.textContent = "Waiting for the answer…";
    try {
      out.textContent = (await call(form)).join("\n");
    } catch (failure) {
      out.textContent = "No answer came: " + failure.message;
    }
  });
}
