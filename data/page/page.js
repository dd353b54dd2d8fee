"use strict";
// Keeps the page up to date, lets charts be zoomed by dragging, and knows a few keys. The page works without it.
(() => {
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  // The server's clock is what ages are measured by.
  const ahead = Number(document.body.dataset.now) * 1000 - Date.now();

  // Ages
  const two = (big, unit, small, smallUnit) => `${big.toLocaleString("en")} ${unit}${small ? ` ${small} ${smallUnit}` : ""}`;
  const span = (s) =>
    s < 60 ? `${s} s`
    : s < 3600 ? two(Math.floor(s / 60), "min", s % 60, "s")
    : s < 86400 ? two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min")
    : s < 63072000 ? two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h")
    : `${Math.floor(s / 31536000)} years`;
  const tick = () => {
    const now = Math.floor((Date.now() + ahead) / 1000);
    for (const time of all("time[data-at]")) {
      const age = now - Number(time.dataset.at);
      const text = age < 0 ? `in ${span(-age)}` : `${span(age)} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  };
  if (Number(document.body.dataset.now)) setInterval(tick, 1000);

  // Sections of the page, taken anew from the server
  const load = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(20000) });
    if (!answer.ok) throw new Error(answer.statusText);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };
  const focused = () => document.activeElement?.closest("tr")?.dataset.hash;
  let loading = false, again = false;
  const refresh = async () => {
    if (loading) { again = true; return; }
    loading = true;
    try {
      const page = await load(location.href);
      const known = new Set(all("#latest tr[data-hash]").map((row) => row.dataset.hash));
      const kept = focused();
      for (const part of all("[data-swap]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) part.replaceWith(document.adoptNode(fresh));
      }
      document.title = page.title;
      for (const row of all("#latest tr[data-hash]")) {
        if (!known.has(row.dataset.hash)) row.classList.add("new");
        if (row.dataset.hash === kept) find("a", row).focus({ preventScroll: true });
      }
      setIcon(find("#tip").dataset.state);
      tick();
    } catch { /* The server is away: the next event comes when it is back. */ }
    loading = false;
    if (again) { again = false; refresh(); }
  };
  const setIcon = (state) => { find("link[rel=icon]").href = `/page/icon-${state}.svg`; };

  // Events. The server sends one at least every 15 seconds.
  let peers, silence, loss;
  const showLoss = () => {
    find("#tip").dataset.state = "stopped";
    find("#word").textContent = "no answer";
    find("#sentence").textContent = "The server does not answer: what is shown here may be old.";
    document.title = `no answer · ${find("#height").textContent} · lightclient`;
    setIcon("stopped");
  };
  const listen = () => {
    const events = new EventSource("/events");
    const retry = () => {
      events.close();
      clearTimeout(silence);
      loss ??= setTimeout(showLoss, 5000);
      setTimeout(listen, 1000);
    };
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(retry, 45000);
    };
    const on = (name, act) => events.addEventListener(name, (event) => { hear(); act(event); });
    hear();
    on("error", retry);
    on("open", () => {
      if (loss) refresh();
      clearTimeout(loss);
      loss = undefined;
    });
    on("alive", () => {});
    on("tip", refresh);
    on("reorganisation", refresh);
    on("peers", (event) => {
      const now = JSON.parse(event.data).peers;
      const addresses = now.map((peer) => peer.address + peer.height).join();
      if (peers !== undefined && addresses !== peers) refresh();
      peers = addresses;
      for (const row of all("#peers tr[data-peer]")) {
        const peer = now.find((peer) => peer.address === row.dataset.peer);
        if (peer) find(".bytes", row).textContent = peer.bytes_text;
      }
    });
    on("progress", (event) => {
      const now = JSON.parse(event.data), tip = find("#tip");
      if (tip.dataset.state !== now.state) { refresh(); return; }
      find("#sentence").textContent = now.sentence;
      find("#height").textContent = now.height_text;
      find("#tip .age time").dataset.at = now.time;
      document.title = `${now.height_text} · lightclient`;
      const bar = find("#progress");
      if (bar && now.estimated_height) bar.value = now.height / now.estimated_height;
    });
  };
  if ("live" in document.body.dataset) {
    // The icon has to be there once the server is not.
    new Image().src = "/page/icon-stopped.svg";
    listen();
  }

  // Charts
  const show = async (address, remember = true) => {
    try {
      const page = await load(address), fresh = page.getElementById("chart");
      if (!fresh) throw new Error("no chart");
      find("#chart").replaceWith(document.adoptNode(fresh));
      if (remember) history.pushState(null, "", address);
    } catch { location.href = address; }
  };
  addEventListener("popstate", () => { if (find("#chart")) show(location.href, false); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#chart nav a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.href);
  });
  const share = (event, box) => Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  const range = () => { const { from, to } = find("#chart").dataset; return [Number(from), Number(to)]; };
  const heightAt = (at) => { const [from, to] = range(); return Math.round(from + (to - from) * at); };
  const mark = (name) => find(`.drawing .${name}`) ?? find(".drawing").appendChild(Object.assign(document.createElement("div"), { className: name }));
  let start = null;
  document.addEventListener("pointerdown", (event) => {
    const drawing = event.target.closest(".drawing");
    if (drawing && event.button === 0) start = share(event, drawing.getBoundingClientRect());
  });
  document.addEventListener("pointermove", (event) => {
    const drawing = start === null ? event.target.closest?.(".drawing") : find(".drawing");
    if (!drawing) { find(".drawing .cursor")?.remove(); return; }
    const box = drawing.getBoundingClientRect(), at = share(event, box);
    mark("cursor").style.left = `${at * box.width}px`;
    const note = find("#reading");
    note.dataset.title ??= note.textContent;
    note.textContent = `${note.dataset.title} · height ${heightAt(at).toLocaleString("en")}`;
    if (start === null) return;
    const selection = mark("selection");
    selection.style.left = `${Math.min(start, at) * box.width}px`;
    selection.style.width = `${Math.abs(at - start) * box.width}px`;
  });
  document.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const at = share(event, find(".drawing").getBoundingClientRect());
    const [low, high] = [Math.min(start, at), Math.max(start, at)];
    start = null;
    find(".drawing .selection")?.remove();
    if (high - low < 0.01) return;
    const [from, to] = [heightAt(low), heightAt(high)];
    if (to > from) show(`${find("#chart").dataset.link}&from=${from}&to=${to}`);
  });
  document.addEventListener("pointercancel", () => { start = null; find(".drawing .selection")?.remove(); });
  document.addEventListener("dblclick", (event) => {
    if (event.target.closest(".drawing")) show(find("#chart").dataset.link);
  });

  // Keys
  const move = (step) => {
    const neighbour = find(step > 0 ? "#previous" : "#next");
    const rows = all("#latest tbody a");
    if (rows.length === 0) { neighbour?.click(); return; }
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input")) { if (event.key === "Escape") event.target.blur(); return; }
    const keys = { "/": () => find(".search input").focus(), j: () => move(1), k: () => move(-1), g: () => { location.href = "/"; } };
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
})();
