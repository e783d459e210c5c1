// Drives the page in a real browser and prints what it saw as JSON:
//
//   node page.mjs CHROMIUM ADDRESS PICTURE.png NO_PICTURE.txt
import { chromium } from "playwright-core";

const [executablePath, address, picture, noPicture] = process.argv.slice(2);
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];
const camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
const problems = [];

async function open(args) {
  const browser = await chromium.launch({ executablePath, args: [...quiet, ...args] });
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(address);
  const ready = await says(page, /is ready/);
  return { browser, context, page, ready };
}

async function says(page, pattern) {
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.getElementById("status").textContent),
    pattern.source,
    { timeout: 120_000 },
  );
  return page.textContent("#status");
}

const { browser, context, page, ready } = await open(camera);
await page.selectOption("#view", "labels");
await page.setInputFiles("#file", picture);
const milliseconds = await says(page, /Labelled in/);
const labels = await page.evaluate(() => {
  const canvas = document.getElementById("result");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]);
});
await page.selectOption("#view", "overlay");
await page.click("#camera");
const framesPerSecond = await says(page, /frames per second/);
await page.click("#camera");
await page.setInputFiles("#file", noPicture);
const refusedFile = await says(page, /not a picture/);
await context.setOffline(true);
await page.reload();
const offline = await says(page, /is ready/);
await browser.close();

const second = await open([]);
await second.page.click("#camera");
await second.page.waitForFunction(
  () => document.getElementById("status").classList.contains("failed"));
const cameraSentence = await second.page.textContent("#status");
await second.browser.close();

console.log(JSON.stringify({
  ready, labels, milliseconds, framesPerSecond, refusedFile, offline, refusedCamera: cameraSentence, problems,
}));
