// The dashboard in Chromium, on a cluster of real daemons: what a person sees before, while and after a node is killed.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { missing, openBrowser, startLauncher, until } from "./browser.mjs";

const PICTURES = process.env.TEST_UNDECLARED_OUTPUTS_DIR ?? "/tmp";
const STATE_MILLISECONDS = 45_000; // the machine may be busy: states are waited for, not times

const skip = missing();
if (skip) {
  console.log(`SKIPPED: ${skip}`);
  process.exit(0);
}
mkdirSync(PICTURES, { recursive: true });

/// How many pixels of the scene have about the hue of each accent.
async function hues(page) {
  const picture = await page.locator(".stage canvas").screenshot();
  return page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const counts = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
      if (Math.max(r, g, b) - Math.min(r, g, b) < 25) continue;
      if (b > g && g > r) ++counts.a;
      else if (r > g && b > g) ++counts.b;
      else if (r >= g && g > b) ++counts.c;
    }
    return counts;
  }, picture.toString("base64"));
}

const text = (page, selector) => page.locator(selector).first().innerText();
const waitForText = (page, selector, pattern) =>
  until(`${selector} says ${pattern}`, STATE_MILLISECONDS, async () => pattern.test(await text(page, selector)));
const waitForVerdict = (page, pattern) => waitForText(page, ".verdict h1", pattern);
const picture = async (page, name) => {
  await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
};

async function showsThreeTori(page) {
  await waitForVerdict(page, /Healthy: 3 of 3 nodes; any one may fail/);
  for (const torus of ["A", "B", "C"]) {
    const section = page.getByRole("region", { name: `torus ${torus}` });
    await until(`torus ${torus} runs`, STATE_MILLISECONDS, async () => (await section.innerText()).includes("running"));
  }
  const epoch = async () => Number((await text(page, ".torus .facts dd")).replaceAll(",", ""));
  const before = await epoch();
  await until("epochs go on", STATE_MILLISECONDS, async () => (await epoch()) > before);
  await until("the scene has all three colours", STATE_MILLISECONDS, async () => {
    const { a, b, c } = await hues(page);
    return a > 500 && b > 500 && c > 500;
  });
  await picture(page, "healthy-dark");
}

async function takesAnInjection(page) {
  const form = page.getByRole("region", { name: "Inject an event" });
  await form.getByLabel("x", { exact: true }).fill("3");
  await form.getByRole("button", { name: "Inject" }).click();
  await until("the injection is accepted", STATE_MILLISECONDS, async () =>
    /accepted in epoch \d+/.test(await form.innerText()));
}

async function tellsOfADeath(page, launcher) {
  await page.getByRole("button", { name: "kill node b" }).click();
  await waitForText(page, ".answer", /SIGKILL to node b/);
  const grewBack = /b died\. Torus [ABC] grew back on [ac] in \d+ ms, bit for bit; nothing was lost\./;
  await waitForText(page, ".story", grewBack);
  await picture(page, "killed-dark");
  const failover = await page.getByRole("region", { name: "Last failover" }).innerText();
  for (const phase of ["suspected", "view agreed", "shards gathered", "replayed", "verified, running"])
    assert.match(failover, new RegExp(`${phase}\\s+[\\d.]+\\s?m?s`));
  const row = page.locator('tr[data-node="b"]');
  await until("b is shown as gone", STATE_MILLISECONDS, async () => /gone|silent/.test(await row.innerText()));
  await waitForText(page, "ol.history", /Lost\s*b has died/);
  await page.screenshot({ path: join(PICTURES, "failover-dark.png"), fullPage: true });
  await page.getByRole("button", { name: "restart node b" }).click();
  await waitForVerdict(page, /Healthy: 3 of 3/);
  assert.ok(launcher.said().includes("healthy"));
}

async function fitsEveryScreen(page) {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  const toggle = page.getByRole("button", { name: "switch to the light theme" });
  await toggle.focus();
  await page.keyboard.press("Enter");
  await until("the page is light", STATE_MILLISECONDS, async () => (await background()) !== dark);
  await picture(page, "healthy-light");
  await page.setViewportSize({ width: 390, height: 844 });
  await picture(page, "phone-light");
  for (const width of [320, 390, 768]) {
    await page.setViewportSize({ width, height: 844 });
    await until(`nothing is wider than ${width} pixels`, STATE_MILLISECONDS, () =>
      page.evaluate((limit) => document.documentElement.scrollWidth <= limit, width));
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

async function isUsableByKeyboardAndEar(page) {
  assert.equal(await page.getByRole("main").count(), 1);
  assert.equal(await page.getByRole("banner").count(), 1);
  assert.equal(await page.locator("h1[role=status]").count(), 1);
  const canvas = page.locator(".stage canvas");
  await canvas.focus();
  await page.keyboard.press("ArrowRight");
  assert.ok((await canvas.getAttribute("aria-label")).includes("arrow keys"));
  await page.getByRole("button", { name: "Cubes" }).press("Enter");
  assert.equal(await page.getByRole("button", { name: "Cubes" }).getAttribute("aria-pressed"), "true");
}

async function refusesStrangers(url) {
  const address = new URL(url);
  const plain = `${address.origin}/api/v1`;
  const kill = (headers) => fetch(`${plain}/kill?node=a`, { method: "POST", headers });
  assert.equal((await kill({})).status, 403);
  assert.equal((await kill({ authorization: "Bearer wrong" })).status, 403);
  assert.equal((await fetch(`${address.origin}/healthz`)).status, 200);
  assert.match(await (await fetch(`${address.origin}/metrics`)).text(), /^rse_torus_epoch\{torus="A"\} \d+$/m);
}

const launcher = await startLauncher();
const browser = await openBrowser({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
try {
  const page = await browser.context.newPage();
  await page.goto(launcher.url);
  await showsThreeTori(page);
  await isUsableByKeyboardAndEar(page);
  await takesAnInjection(page);
  await refusesStrangers(launcher.url);
  await tellsOfADeath(page, launcher);
  await fitsEveryScreen(page);
  assert.deepEqual(browser.problems, []);
  await launcher.stop();
  await waitForVerdict(page, /No answer: what you see is old/);
  assert.match(await text(page, "#freshness"), /last data .* ago/);
  console.log("the dashboard shows three tori, and who died");
} finally {
  await browser.close();
  await launcher.stop();
}
