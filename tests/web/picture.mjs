// picture FILE.png: the README's picture, of a cluster that runs on this machine now and has just lost a node.
import { writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { missing, openBrowser, startLauncher, until } from "./browser.mjs";
import { indexedPng } from "./indexed_png.mjs";
import { authorizationOf } from "./measure.mjs";

const SIZE = { width: 1280, height: 800 };
const WARM_MILLISECONDS = 12_000; // until the cells have something to show
const GROWING_MILLISECONDS = 1_900; // after the death: half of the torus is back

const [given] = process.argv.slice(2);
const problem = given ? missing() : "usage: picture FILE.png";
if (problem) {
  console.error(`picture: ${problem}`);
  process.exit(2);
}
const file = isAbsolute(given) ? given : join(process.env.BUILD_WORKING_DIRECTORY ?? ".", given);

const launcher = await startLauncher();
const browser = await openBrowser({ viewport: SIZE, colorScheme: "dark" });
try {
  const page = await browser.context.newPage();
  await page.goto(`${launcher.url}&detail=0`);
  const text = (selector) => page.locator(selector).innerText();
  await until("the verdict is there", 30_000, async () => /Healthy/.test(await text(".verdict h1")));
  await page.waitForTimeout(WARM_MILLISECONDS);
  const { origin } = new URL(launcher.url);
  await fetch(`${origin}/api/v1/kill?node=b`, { method: "POST", headers: authorizationOf(launcher.url) });
  await until("the story is told", 30_000, async () => /b died. Torus . grew back/.test(await text(".story")));
  await page.waitForTimeout(GROWING_MILLISECONDS);
  const screenshot = await page.screenshot();
  const pixels = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    return Array.from(context.getImageData(0, 0, image.width, image.height).data);
  }, screenshot.toString("base64"));
  const bytes = indexedPng(Uint8Array.from(pixels), SIZE.width, SIZE.height);
  writeFileSync(file, bytes);
  console.log(`${file}: ${bytes.length} bytes`);
} finally {
  await browser.close();
  await launcher.stop();
}
