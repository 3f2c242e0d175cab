// The console in the browser: clocks, what is new, keys, drafts. Without it every form still works.
"use strict";
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const csrf = $('meta[name="csrf"]')?.content ?? "";
  const ticket = $("#ticket");
  const base = ticket ? `/tickets/${ticket.dataset.reference}` : "";
  const post = (path, fields, more = {}) =>
    fetch(path, { method: "POST", body: new URLSearchParams(fields), headers: { "x-csrf-token": csrf }, redirect: "manual", ...more });

  function toast(text) {
    $("#toast").textContent = text;
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => { $("#toast").textContent = ""; }, 2500);
  }

  // clocks
  function span(ms) {
    const s = Math.floor(Math.abs(ms) / 1000);
    if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
    if (s >= 3600) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  }
  function tick() {
    const now = Date.now();
    for (const clock of all("time.clock[data-limit]")) {
      const left = Date.parse(clock.dataset.limit) - now;
      const target = clock.dataset.target ? Date.parse(clock.dataset.target) - now : left;
      const text = left < 0 ? `${span(left)} late` : span(left);
      if (clock.textContent !== text) clock.textContent = text;
      clock.classList.toggle("late", left < 0);
      clock.classList.toggle("soon", left >= 0 && target < 0);
    }
    undoing(now);
  }
  // what can be taken back goes along to the next page
  function carried() {
    const box = $("#undo");
    if (box) {
      const fields = all("input[name=ticket]", box).map((one) => one.value);
      const text = box.dataset.said;
      sessionStorage.setItem("undo", JSON.stringify({ action: new URL(box.action).pathname, until: box.dataset.until, fields, text }));
    } else {
      const kept = JSON.parse(sessionStorage.getItem("undo") ?? "null");
      if (!kept || !csrf || !(Date.parse(kept.until) > Date.now())) return;
      const form = document.createElement("form"), said = document.createElement("span"), left = document.createElement("b"), button = document.createElement("button"), key = document.createElement("kbd");
      Object.assign(form, { method: "post", action: kept.action, id: "undo", className: "undo" });
      form.dataset.until = kept.until;
      for (const [name, value] of [["csrf", csrf], ...kept.fields.map((one) => ["ticket", one])]) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
      }
      left.id = "undo-left";
      key.textContent = "z";
      said.append(`${kept.text} `, left);
      button.append("Undo ", key);
      form.append(said, button);
      $("#main").append(form);
    }
    $("#undo").addEventListener("submit", () => sessionStorage.removeItem("undo"));
  }
  function undoing(now) {
    const box = $("#undo");
    if (!box) return;
    const left = Date.parse(box.dataset.until) - now;
    if (left > 0) $("#undo-left").textContent = `${Math.ceil(left / 1000)} s`;
    else if (!("answer" in box.dataset)) box.remove();
    else { box.remove(); toast("Sent"); for (const wait of [2000, 8000]) setTimeout(refresh, wait); }
  }

  // what is new
  let waiting = false;
  function busy(part) {
    const at = document.activeElement;
    return at && part.contains(at) && at.matches("input:not([type=checkbox]), select, textarea");
  }
  function refresh() {
    waiting = false;
    for (const part of all("[data-live]")) {
      if (busy(part)) waiting = true;  // nobody's choice is taken out of his hand
      else part.dispatchEvent(new Event("changed"));
    }
  }
  document.addEventListener("focusout", () => setTimeout(() => { if (waiting) refresh(); }, 50));
  let chosen = new Set(), opened = new Set(), known = null;
  document.addEventListener("htmx:before:swap", () => {
    chosen = new Set(all('.pick input:checked').map((box) => box.value));
    opened = new Set(all("details[open][id]").map((one) => one.id));
    known = new Set(all("li.ticket").map((one) => one.id));
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const box of all(".pick input")) box.checked = chosen.has(box.value);
    for (const one of all("details[id]")) if (opened.has(one.id) || one.dataset.remember !== undefined) one.open = opened.has(one.id);
    if (known) for (const one of all("li.ticket")) one.classList.toggle("new", !known.has(one.id));
    counted();
    remember();
    chose();
    moved();
    tick();
  });
  function counted() {
    const found = $("[data-counts]");
    if (!found) return;
    for (const one of all(".count[data-count]")) {
      const count = found.dataset[one.dataset.count];
      if (count !== undefined) one.textContent = Number(count) >= 1000 ? "999+" : count;
    }
    const begun = new Set((found.dataset.drafts ?? "").split(" "));
    for (const row of all("li.ticket")) {
      let mark = $(".chip.draft", row);
      if (mark && !begun.has(row.id)) mark.remove();
      else if (!mark && begun.has(row.id)) {
        mark = document.createElement("span");
        mark.className = "chip draft";
        mark.textContent = "draft";
        $(".subject", row)?.append(mark);
      }
    }
    document.title = document.title.replace(/^\d+ open/, `${found.dataset.open} open`);
  }
  function moved() {
    const now = $("[data-version]"), seen = $('#answer-form [name="seen"]');
    const draft = $("#words-of-answer");
    if (now && seen && draft && !draft.value.trim() && now.dataset.to === draft.form.dataset.to) seen.value = now.dataset.version;  // nothing was written to an older state
  }
  function badges(counts) {  // what waits behind the names in the bar
    const of = { incidents: counts.incidents, held: counts.quarantined + counts.failed, outbox: counts.dead };
    for (const one of all("[data-badge]")) {
      const count = of[one.dataset.badge];
      one.hidden = !count;
      one.textContent = count >= 1000 ? "999+" : count;
    }
  }
  function listen() {
    if (!csrf || !window.EventSource) return;
    const source = new EventSource("/events");
    const state = $("#live-state");
    source.addEventListener("hello", () => { if (state.dataset.was) refresh(); state.dataset.was = "1"; state.classList.add("on"); });
    source.addEventListener("change", (event) => {
      const about = event.data ? event.data.split(" ") : [];
      if (!ticket || !about.length || about.includes(ticket.dataset.reference)) refresh();
    });
    source.addEventListener("counts", (event) => badges(JSON.parse(event.data)));
    source.onerror = () => {
      state.classList.remove("on");
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
    addEventListener("pagehide", () => source.close());
  }

  // drafts, preview, ready texts, who is here
  const words = $("#words-of-answer");
  let timer = 0, kept = words?.value ?? "", last = 0;
  let sending = false;
  async function keep() {
    if (!words || sending || words.value === kept) return;
    const text = words.value;
    const answer = await post(`${base}/draft`, { text }).catch(() => null);
    if (answer?.ok) { kept = text; $("#draft-state").textContent = "Draft kept"; }
    else $("#draft-state").textContent = "The draft could not be kept";
  }
  words?.addEventListener("input", () => {
    $("#draft-state").textContent = "";
    clearTimeout(timer);
    timer = setTimeout(keep, 700);
    if (Date.now() - last > 8000) here();
  });
  async function here() {
    if (!ticket) return;
    last = Date.now();
    const writing = words && words.value.trim() && (document.activeElement === words || words.value !== words.defaultValue);
    const answer = await post(`${base}/presence`, { state: writing ? "writing" : "here" }).catch(() => null);
    if (!answer?.ok) return;
    const there = $("#there");
    there.replaceChildren(...(await answer.json()).map((one) => {
      const shown = document.createElement("span");
      shown.textContent = `${one.who} ${one.writing ? "is writing an answer" : "has this open"}`;
      shown.className = one.writing ? "writing" : "";
      return shown;
    }));
  }
  if (ticket) {
    here();
    setInterval(here, 10000);
    addEventListener("pagehide", () => post(`${base}/presence`, { state: "gone" }, { keepalive: true }));
  }
  // ready texts: a list that is searched, and what is inserted can be undone
  const texts = $("#texts"), find = $("#find-text");
  function insert(text) {
    texts.close();
    words.blur();  // the dialog has given the focus back without the selection: what is inserted could not be undone
    words.focus();
    const start = words.selectionStart, blank = !words.value || /\n\n$/.test(words.value.slice(0, start)) || start === 0;
    const whole = blank ? text : `\n\n${text}`;
    if (!document.execCommand("insertText", false, whole)) {
      words.setRangeText(whole, start, words.selectionEnd, "end");
      words.dispatchEvent(new Event("input"));
    }
  }
  const found = () => all("#found-texts button");
  function show(button) {
    for (const one of found()) one.classList.toggle("at", one === button);
    $("#text-shown").textContent = button ? button.dataset.text : "";
    $("#text-shown").lang = button?.lang ?? "";
    button?.scrollIntoView({ block: "nearest" });
  }
  function list() {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean), parts = [];
    for (const group of all("#ready optgroup")) {
      const fits = all("option", group).filter((one) => wanted.every((word) => `${one.textContent} ${one.value}`.toLowerCase().includes(word)));
      if (!fits.length) continue;
      const head = document.createElement("h3");
      head.textContent = group.label;
      parts.push(head, ...fits.map((one) => {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: one.textContent, lang: one.lang });
        button.dataset.text = one.value;
        return button;
      }));
    }
    $("#found-texts").replaceChildren(...parts);
    show(found()[0]);
    if (!parts.length) $("#text-shown").textContent = "No ready text has these words. Esc closes.";
  }
  function choose() {
    if (!texts || texts.open) return;
    find.value = "";
    list();
    texts.showModal();
    find.focus();
  }
  $("#ready-texts")?.addEventListener("click", choose);
  find?.addEventListener("input", list);
  texts?.addEventListener("click", (event) => { const one = event.target.closest("[data-text]"); if (one) insert(one.dataset.text); });
  texts?.addEventListener("focusin", (event) => { if (event.target.dataset.text) show(event.target); });
  texts?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); texts.close(); words.focus(); return; }  // once, also where words stand in the search
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key], rows = found(), at = rows.findIndex((one) => one.classList.contains("at"));
    if (by) { event.preventDefault(); show(rows[Math.min(rows.length - 1, Math.max(0, at + by))]); find.focus(); }
    else if (event.key === "Enter" && event.target === find && rows[at]) { event.preventDefault(); event.stopPropagation(); insert(rows[at].dataset.text); }
  });
  function gap(from = 0) {
    const left = $("#gaps")?.dataset.gap, at = left ? words.value.indexOf(left, from) : -1;
    if (at >= 0) { words.focus(); words.setSelectionRange(at, at + left.length); words.scrollIntoView({ block: "center" }); }
  }
  if ($("#gaps")) addEventListener("load", () => setTimeout(gap, 50));
  if ($("#fileless")) addEventListener("load", () => setTimeout(() => words?.focus(), 50));
  const form = $("#answer-form");
  async function attach(files, remove = "") {
    if (!form || (!files?.length && !remove)) return;
    const size = [...(files ?? [])].reduce((sum, file) => sum + file.size, 0);
    if (size > Number(form.dataset.limit)) { $("#draft-state").textContent = `At most ${Math.floor(form.dataset.limit / 1048576)} MB of files go with an answer`; return; }
    const body = new FormData();
    for (const file of files ?? []) body.append("file", file);
    if (remove) body.append("remove", remove);
    if (words.value.trim()) body.append("text", words.value);
    if (files?.length) $("#draft-state").textContent = "Attaching …";
    const answer = await fetch(`${base}/files`, { method: "POST", body, headers: { "x-csrf-token": csrf, "x-part": "1" } }).catch(() => null);
    $("#draft-state").textContent = answer && (answer.ok || answer.status === 409) ? "" : answer?.status === 413 ? "Too large" : "The file could not be attached";
    if (answer && (answer.ok || answer.status === 409)) { $("#files").innerHTML = await answer.text(); kept = words.value; if ($("#files li")) $("#fileless")?.remove(); }
    $("#file").value = "";
  }
  if (form) {
    form.classList.add("scripted");
    form.addEventListener("submit", () => {  // once, and nothing is kept any more
      sending = true;
      clearTimeout(timer);
      setTimeout(() => { for (const button of all("button", form)) button.disabled = true; });
    });
    addEventListener("pageshow", () => { sending = false; for (const button of all("button", form)) button.disabled = false; });
    $("#file").addEventListener("change", (event) => attach(event.target.files));
    form.addEventListener("click", (event) => {
      const gone = event.target.closest("[data-remove]");
      if (gone) { event.preventDefault(); attach(null, gone.value).then(() => words.focus()); }
    });
    words.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); attach(event.clipboardData.files); } });
    for (const name of ["dragover", "dragleave", "drop"])
      form.addEventListener(name, (event) => {
        if (![...event.dataTransfer.types].includes("Files")) return;
        event.preventDefault();
        form.classList.toggle("over", name === "dragover");
        if (name === "drop") attach(event.dataTransfer.files);
      });
  }
  async function preview() {
    const frame = $("#preview");
    if (!frame) return;
    if (!frame.hidden) { frame.hidden = true; words.focus(); return; }
    await keep();
    frame.src = `${base}/preview?${Date.now()}`;
    frame.hidden = false;
    frame.addEventListener("load", () => frame.scrollIntoView({ block: "end" }), { once: true });
    frame.scrollIntoView({ block: "end" });
  }
  $("#show-preview")?.addEventListener("click", preview);
  document.addEventListener("toggle", (event) => {
    const place = event.target;
    if (!place.dataset?.frame || !place.open || $("iframe", place)) return;
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox");
    frame.title = "The mail as its author formatted it, without anything from elsewhere";
    frame.src = place.dataset.frame;
    place.append(frame);
  }, true);

  // choosing, copying, filters
  function chose() {
    const bar = $("#bulk-bar"), count = all(".pick input:checked").length;
    if (!bar) return;
    bar.hidden = count === 0;
    $("#chosen").textContent = count;
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches(".pick input")) chose();
    const form = event.target.closest("form[data-auto]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) { await navigator.clipboard?.writeText(copy.dataset.copy).catch(() => {}); toast(`Copied ${copy.dataset.copy.slice(0, 60)}`); }
    if (event.target.closest("[data-help]")) help();
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  for (const form of all("form[action='/'][data-auto], form[role=search]"))
    form.addEventListener("submit", () => { for (const field of form.elements) if (field.name && !field.value) field.disabled = true; });
  const drop = $("#drop");
  drop?.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop?.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop?.addEventListener("drop", (event) => {
    event.preventDefault();
    $("input[type=file]", drop).files = event.dataTransfer.files;
    drop.requestSubmit();
  });
  function help() {
    const box = $("#help");
    $("#keys-on").checked = localStorage.getItem("keys") !== "off";
    if (!box.open) box.showModal();
  }
  $("#keys-on")?.addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));

  // keys
  function place() {  // in the list that was seen last; of a ticket that was not in it, that of the one before
    const list = JSON.parse(sessionStorage.getItem("list") ?? "[]"), at = list.indexOf(ticket.dataset.reference);
    if (at >= 0) sessionStorage.setItem("place", at);
    return { list, at: at >= 0 ? at : Number(sessionStorage.getItem("place") ?? -1) };
  }
  if (ticket) place();
  function neighbour(by) {
    const { list, at } = place(), to = list[at + by];
    if (to) location.href = `/tickets/${to}`;
    else location.href = "/";
  }
  function remember() { if ($("form[action='/queue/bulk']")) { sessionStorage.setItem("list", JSON.stringify(all("li.ticket").map((one) => one.id))); sessionStorage.removeItem("place"); } }
  function step(by) {
    const rows = all("li.ticket");
    if (ticket) return neighbour(by);
    if (!rows.length) return scrollBy({ top: by * 200 });
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by))];
    ($("a.go", next) ?? $("input", next))?.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  function unfold(id, field) {
    const box = $(`#${id}`);
    if (!box) return;
    box.open = true;
    box.scrollIntoView({ block: "center" });
    ($(field ?? "select, textarea", box) ?? $("summary", box))?.focus();
  }
  const focus = (query) => { const one = $(query); if (one) { one.focus(); one.scrollIntoView({ block: "center" }); } };
  const bulk = (id) => { const bar = $("#bulk-bar"), one = bar && !bar.hidden && $(`#bulk-${id}`); if (one) (one.matches("input") ? one.focus() : one.click()); return one; };
  // what a person folds stays folded, on every ticket
  function folded() { for (const one of all("details[data-remember]")) { const was = localStorage.getItem(`fold-${one.id}`); if (was && innerWidth > 900) one.open = was === "open"; } }
  document.addEventListener("click", (event) => {
    const box = event.target.closest("summary")?.parentElement;
    if (box?.dataset.remember !== undefined) setTimeout(() => localStorage.setItem(`fold-${box.id}`, box.open ? "open" : "shut"));
  });
  folded();
  function look(within) {  // at the newest mail, or at what is attached to it
    const box = $(`${within} > details.original > summary kbd`)?.closest("details");
    if (box) { box.open = !box.open; box.scrollIntoView({ block: box.open ? "start" : "nearest" }); $("summary", box).focus({ preventScroll: true }); }
  }
  const keys = {
    j: () => step(1), k: () => step(-1), "?": help, "/": () => ($("#words")?.offsetParent ? focus("#words") : (location.href = "/")), u: () => { location.href = $("#up")?.href ?? "/"; },
    x: () => { const box = document.activeElement.closest("li.ticket")?.querySelector(".pick input"); if (box) { box.checked = !box.checked; chose(); } },
    X: () => { const row = document.activeElement.closest("li.ticket"); if (row) { for (const one of all("li.ticket")) if (one.dataset.author === row.dataset.author) $(".pick input", one).checked = true; chose(); } },
    ".": () => focus($("#main [data-first]") ? "#main [data-first]" : "#main form input:not([type=hidden], [type=checkbox]), #main form button"), o: () => look(".files li"), f: () => look("footer"),
    r: () => focus("#words-of-answer"), n: () => unfold("note", "#note-text"), p: preview, z: () => $("#undo")?.requestSubmit(),
    a: () => bulk("take") || $("#take button")?.click(), t: () => bulk("tag") || focus("#tag"), s: () => bulk("snooze") || focus("#snooze"), c: () => unfold("correct"),
    w: () => unfold("why"), ";": choose, m: () => { if (bulk("merge")) return; if ($("#merge-same")) $("#merge-same").click(); else unfold("linked", "#merge-to"); }, e: () => bulk("close") || $("#close")?.click(), "!": () => bulk("spam") || $("#spam")?.click(), B: () => $("#block")?.click(), h: () => $("#wait")?.click(),
  };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const field = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === ";" && (event.ctrlKey || event.metaKey) && event.target === words) { event.preventDefault(); choose(); return; }
    if (event.altKey && event.code === "KeyA" && form) { event.preventDefault(); $("#file").click(); return; }
    if (event.key === "Escape" && field) { event.target.blur(); return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field) { event.preventDefault(); event.target.form?.requestSubmit($("button.primary", event.target.form)); return; }
    if (event.key === "Enter" && event.target.matches(".acts select, #correct select")) { event.preventDefault(); event.target.form.requestSubmit(); return; }
    if (field || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]") || localStorage.getItem("keys") === "off") return;
    if (Date.now() - going < 1200) {
      going = 0;
      const link = $(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (event.key === "g") { going = Date.now(); return; }
    if (keys[event.key] && csrf) { event.preventDefault(); keys[event.key](); }
  });

  const said = $(".notice[role=status]");
  if (said && !$("button, code", said)) setTimeout(() => said.remove(), 8000);
  // following the fragment takes the focus away once more
  if (location.hash === "#answer") addEventListener("load", () => setTimeout(() => words?.focus(), 50));
  else if (ticket && !location.hash && !$("[role=alert]")) {  // at what came last
    const said = all(".talk .entry");
    if (said.length > 1 && said.at(-1).getBoundingClientRect().bottom > innerHeight) said.at(-1).scrollIntoView({ block: "start" });
  }
  counted();
  for (const one of all(".top nav a[aria-current], .tabs a[aria-current]")) {  // on a phone they stand in a row that is wider than it
    const bar = one.parentElement;
    bar.scrollLeft = one.offsetLeft - (bar.clientWidth - one.offsetWidth) / 2;
  }
  remember();
  carried();
  setInterval(tick, 1000);
  tick();
  listen();
})();
