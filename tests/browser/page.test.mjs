// The page of `lightclient serve` in Chromium: search, header page, live update, zoom, keys, narrow screens, contrast.
//
// BITCOIND is a bitcoind, LIGHTCLIENT the program (the debug build if not set), CHROMIUM the browser. With SCREENSHOTS set
// to a folder, pictures are written there.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const program = process.env.LIGHTCLIENT ?? join(here, "../../target/debug/lightclient");
const PATIENCE = 60_000;
const BLOCKS = 600;

let folder, node, served, start, browser, address, rpc;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function until(what, check) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const value = await Promise.resolve().then(check).catch(() => undefined);
    if (value) return value;
    assert.ok(Date.now() < deadline, `no ${what} in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function startNode() {
  const [p2p, port] = [await freePort(), await freePort()];
  node = spawn(process.env.BITCOIND, [
    "-regtest", `-datadir=${folder}`, `-bind=127.0.0.1:${p2p}`, `-rpcport=${port}`, "-server", "-printtoconsole=0",
    "-dnsseed=0", "-fixedseeds=0", "-discover=0", "-listenonion=0", "-natpmp=0",
  ], { stdio: "ignore" });
  rpc = async (method, ...params) => {
    const cookie = await readFile(join(folder, "regtest/.cookie"), "utf8");
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      headers: { Authorization: `Basic ${Buffer.from(cookie).toString("base64")}` },
      body: JSON.stringify({ method, params }),
    });
    return (await answer.json()).result;
  };
  await until("bitcoind", () => rpc("getblockchaininfo"));
  return `127.0.0.1:${p2p}`;
}

async function end(child) {
  if (!child || child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** Mines blocks whose intervals are as chance would have them, the last one four minutes ago. */
async function mine() {
  let seed = 7;
  const intervals = Array.from({ length: BLOCKS }, () => {
    seed = (seed * 48271) % 2147483647;
    return Math.ceil(-600 * Math.log(seed / 2147483647));
  });
  let time = Math.floor(Date.now() / 1000) - 240 - intervals.reduce((sum, interval) => sum + interval);
  for (const interval of intervals) {
    time += interval;
    await rpc("setmocktime", time);
    await rpc("generatetodescriptor", 1, "raw(51)");
  }
  await rpc("setmocktime", 0);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightclient-browser-"));
  const peer = await startNode();
  await mine();
  const port = await freePort();
  start = async () => {
    served = spawn(program, [
      "serve", "--regtest", "--data-dir", join(folder, "data"), "--rpc-port", String(port), "--connect", peer,
    ], { stdio: "ignore" });
    await until("caught up", async () => (await fetch(`${address}/readyz`)).ok);
  };
  address = `http://127.0.0.1:${port}`;
  await start();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});

after(async () => {
  await browser?.close();
  await end(served);
  await end(node);
  await rm(folder, { recursive: true, force: true });
});

/** Opens a page, which fails the test if it logs an error or asks another server for anything. */
async function open(t, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const faults = page.faults = [];
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith(address)) faults.push(request.url()); });
  t.after(() => assert.deepEqual(faults, []));
  await page.goto(address + path);
  return page;
}

const heading = (page) => page.locator("h1").innerText();
const chart = (page) => page.locator("#chart").evaluate((part) => [Number(part.dataset.from), Number(part.dataset.to)]);

test("search by key leads to a header's page", async (t) => {
  const page = await open(t, "/");
  await page.keyboard.press("/");
  await page.keyboard.type("100");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/header/100");
  assert.equal(await heading(page), "100");
  assert.match(await page.title(), /^100 · lightclient$/);
  const hash = await rpc("getblockhash", 100);
  assert.equal((await page.locator(".tip-hash").innerText()).trim(), hash);
});

test("a field's bytes are set apart when it is pointed at", async (t) => {
  const page = await open(t, "/header/7");
  const color = () => page.locator(".raw .nonce").evaluate((part) => getComputedStyle(part).backgroundColor);
  const plain = await color();
  await page.hover(".rows .nonce");
  assert.notEqual(await color(), plain);
});

test("keys move through the list, along the chain, and back to the tip", async (t) => {
  const page = await open(t, "/");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("j");
  const first = await focused();
  await page.keyboard.press("j");
  assert.notEqual(await focused(), first);
  await page.keyboard.press("k");
  assert.equal(await focused(), first);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/header/**");
  const height = await heading(page);
  await page.keyboard.press("j");
  await page.waitForFunction((height) => document.querySelector("h1").innerText !== height, height);
  await page.keyboard.press("g");
  await page.waitForURL(`${address}/`);
});

test("a block that is mined appears by itself", async (t) => {
  const page = await open(t, "/");
  await page.evaluate(() => { window.stayed = true; });
  await page.locator("#latest a").first().focus();
  const kept = await page.evaluate(() => document.activeElement.textContent);
  const [hash] = await rpc("generatetodescriptor", 1, "raw(51)");
  await page.locator(`#latest tr.new[data-hash="${hash}"]`).waitFor();
  const height = await rpc("getblockcount");
  assert.equal(await heading(page), height.toLocaleString("en"));
  assert.match(await page.title(), new RegExp(`^${height.toLocaleString("en")} · `));
  assert.ok(await page.evaluate(() => window.stayed), "the page was not loaded anew");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), kept);
  assert.equal(await page.locator("#word").innerText(), "current");
  assert.match(await page.locator("link[rel=icon]").getAttribute("href"), /icon-current/);
});

test("the page says when the server does not answer, and when it does again", async (t) => {
  const page = await open(t, "/");
  const shown = () => page.evaluate(() => [
    document.querySelector("#tip").dataset.state, document.querySelector("#word").innerText,
    document.querySelector("link[rel=icon]").href.split("/").pop(), document.title.split(" · ")[0],
  ]);
  const before = await shown();
  assert.equal(before[1], "current");
  await page.clock.install();
  // Once because the connection is lost, and once because nothing comes through it.
  await end(served);
  await until("the loss", async () => (await shown())[1] === "no answer");
  assert.deepEqual(await shown(), ["stopped", "no answer", "icon-stopped.svg", "no answer"]);
  await start();
  await until("the server's return", async () => (await shown())[1] !== "no answer");
  await until("the server's state", async () => assert.deepEqual(await shown(), before) ?? true);
  served.kill("SIGSTOP");
  t.after(() => served.kill("SIGCONT"));
  await page.clock.fastForward(60_000);
  await until("the loss", async () => (await shown())[1] === "no answer");
  served.kill("SIGCONT");
  await until("the server's state", async () => assert.deepEqual(await shown(), before) ?? true);
  // Chromium logs each try to connect.
  page.faults.length = 0;
});

test("the age of the tip ticks", async (t) => {
  const page = await open(t, "/");
  const age = () => page.locator("#tip .age").innerText();
  const first = await age();
  await until("another age", async () => (await age()) !== first);
});

test("dragging over a chart asks for that range, and a double click goes back", async (t) => {
  const page = await open(t, "/?chart=interval");
  const [, end] = await chart(page);
  const box = await page.locator(".drawing").boundingBox();
  const at = (share) => [box.x + box.width * share, box.y + 100];
  await page.mouse.move(...at(0.25));
  await page.mouse.down();
  await page.mouse.move(...at(0.6), { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const [from, to] = await chart(page);
  assert.ok(Math.abs(from - end * 0.25) <= 2 && Math.abs(to - end * 0.6) <= 2, `${from} to ${to} of ${end}`);
  await page.dblclick(".drawing");
  await page.waitForFunction(() => document.querySelector("#chart").dataset.from === "0");
  await page.goBack();
  await page.waitForFunction((from) => document.querySelector("#chart").dataset.from === String(from), from);
  await page.click("text=hash rate");
  await page.waitForFunction(() => document.querySelector("#plot-title").textContent.startsWith("Hash rate"));
});

test("it works without a script", async (t) => {
  const page = await open(t, "/", { javaScriptEnabled: false });
  assert.ok((await page.locator("#chart svg.plot").boundingBox()).width > 500);
  await page.click("text=versions");
  await page.waitForURL("**/?chart=versions**");
  await page.locator("#latest a").nth(3).click();
  assert.match(await page.locator("article").innerText(), /median time past/);
  await page.fill("input[name=q]", "5");
  await page.press("input[name=q]", "Enter");
  await page.waitForURL("**/header/5");
});

test("on 360 pixels it is one column", async (t) => {
  for (const path of ["/", "/?chart=versions", "/header/7", `/search?q=${"a".repeat(90)}`]) {
    const context = { viewport: { width: 360, height: 740 } };
    // A page that is not found is an error to the console too.
    const page = await (path.startsWith("/search") ? browser.newPage(context) : open(t, path, context));
    await page.goto(address + path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${path}: ${width}`);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in the ${colorScheme} theme`, async (t) => {
    for (const path of ["/", "/?chart=versions", "/header/7"]) {
      const page = await open(t, path, { colorScheme });
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
      assert.deepEqual(told, [], path);
    }
  });
}

test("motion stops for those who want none", async (t) => {
  const page = await open(t, "/", { reducedMotion: "reduce" });
  const name = await page.evaluate(() => {
    document.querySelector("#latest tbody tr").classList.add("new");
    return getComputedStyle(document.querySelector("#latest tr.new td")).animationName;
  });
  assert.equal(name, "none");
});

test("pictures", { skip: !process.env.SCREENSHOTS }, async (t) => {
  const shots = [
    ["page-light", "/?chart=interval&from=-250&log=0", { colorScheme: "light" }],
    ["page-dark", "/header/500", { colorScheme: "dark" }],
    ["page-narrow", "/", { viewport: { width: 360, height: 740 } }],
  ];
  for (const [name, path, options] of shots) {
    const page = await open(t, path, options);
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
  }
});
