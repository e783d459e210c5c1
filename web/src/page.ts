/** The page: a picture or the camera in, an overlay or a cut-out back. Nothing is uploaded. */

import type { Reply, Request, View } from "./worker.js";

interface Listed {
  readonly name: string;
  readonly title: string;
  readonly file: string;
}

const LARGEST_SIDE = 1280;
const OFFLINE_PATIENCE = 5000;

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const status = find<HTMLParagraphElement>("status");
const canvas = find<HTMLCanvasElement>("result");
const choice = find<HTMLSelectElement>("network");
const view = find<HTMLSelectElement>("view");
const cameraButton = find<HTMLButtonElement>("camera");
const save = find<HTMLAnchorElement>("save");
const context = canvas.getContext("2d", { willReadFrequently: true })!;

let worker: Worker;
let shown: ImageBitmap | undefined;
let stream: MediaStream | undefined;
let waiting: ((reply: Reply) => void)[] = [];

function ask(request: Request): Promise<Reply> {
  worker.postMessage(request);
  return new Promise((resolve) => waiting.push(resolve));
}

function say(sentence: string, failed = false): void {
  status.textContent = sentence;
  status.classList.toggle("failed", failed);
}

async function loadNetwork(): Promise<boolean> {
  say(`Loading ${choice.value} …`);
  const option = choice.selectedOptions[0]!;
  const reply = await ask({ kind: "load", model: option.dataset.file! });
  if (reply.kind === "failed") {
    say(reply.sentence, true);
    return false;
  }
  if (reply.kind === "loaded") {
    view.querySelector<HTMLOptionElement>("[value=cutout]")!.disabled = !reply.saliency;
    if (!reply.saliency && view.value === "cutout") view.value = "overlay";
    find("description").textContent = reply.description;
    const on = reply.threads > 1 ? ` on ${reply.threads} threads` : "";
    say(`${reply.name} is ready${on}. Drop a picture here, choose one, or start the camera.`);
  }
  return true;
}

/** Labels what `source` shows and draws it; returns the milliseconds, or undefined on a failure. */
async function show(source: CanvasImageSource, width: number, height: number): Promise<number | undefined> {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height));
  const [columns, rows] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const scratch = new OffscreenCanvas(columns!, rows!);
  const drawing = scratch.getContext("2d", { willReadFrequently: true })!;
  drawing.drawImage(source, 0, 0, columns!, rows!);
  const picture = drawing.getImageData(0, 0, columns!, rows!);
  const reply = await ask({ kind: "label", picture, view: view.value as View });
  if (reply.kind === "failed") {
    say(reply.sentence, true);
    return undefined;
  }
  if (reply.kind !== "labelled") return undefined;
  canvas.width = columns!;
  canvas.height = rows!;
  context.putImageData(reply.picture, 0, 0);
  canvas.hidden = false;
  return reply.milliseconds;
}

async function showPicture(): Promise<void> {
  if (shown === undefined) return;
  const milliseconds = await show(shown, shown.width, shown.height);
  if (milliseconds === undefined) return;
  say(`Labelled in ${milliseconds.toFixed(0)} milliseconds.`);
  save.href = canvas.toDataURL("image/png");
  save.hidden = false;
}

async function take(file: File | undefined): Promise<void> {
  if (file === undefined) return;
  stopCamera();
  try {
    shown = await createImageBitmap(file);
  } catch {
    say(`${file.name} is not a picture that this browser can open; choose a JPEG, PNG or WebP.`, true);
    return;
  }
  await showPicture();
}

async function startCamera(): Promise<void> {
  if (navigator.mediaDevices === undefined) {
    say("This browser gives no camera to this page; open the page by https or from localhost.", true);
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    say(cameraFailure(error), true);
    return;
  }
  shown = undefined;
  save.hidden = true;
  cameraButton.textContent = "Stop the camera";
  const video = document.createElement("video");
  video.srcObject = stream;
  video.muted = true;
  video.playsInline = true;
  await video.play();
  await showFrames(video, stream);
}

function cameraFailure(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    return "The camera was refused; allow it in the browser's settings for this page.";
  }
  if (name === "NotFoundError") return "No camera was found; connect one, or choose a picture.";
  return `The camera cannot be started (${name || error}); close what else uses it.`;
}

async function showFrames(video: HTMLVideoElement, ours: MediaStream): Promise<void> {
  let began = performance.now();
  let frames = 0;
  while (stream === ours) {
    const milliseconds = await show(video, video.videoWidth, video.videoHeight);
    if (stream !== ours) return;
    if (milliseconds === undefined) return stopCamera();
    frames++;
    const seconds = (performance.now() - began) / 1000;
    if (seconds >= 1) {
      say(`${(frames / seconds).toFixed(1)} frames per second, ${milliseconds.toFixed(0)} milliseconds each.`);
      began = performance.now();
      frames = 0;
    }
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera(): void {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  cameraButton.textContent = "Start the camera";
}

async function main(): Promise<void> {
  const listed = (await (await fetch("networks.json")).json()) as Listed[];
  for (const { name, title, file } of listed) {
    const option = new Option(title, name);
    option.dataset.file = file;
    choice.add(option);
  }
  choice.onchange = async () => void ((await loadNetwork()) && showPicture());
  view.onchange = () => showPicture();
  cameraButton.onclick = () => (stream ? stopCamera() : startCamera());
  const input = find<HTMLInputElement>("file");
  input.onchange = () => take(input.files?.[0]);
  document.body.ondragover = (event) => event.preventDefault();
  document.body.ondrop = (event) => {
    event.preventDefault();
    void take(event.dataTransfer?.files[0]);
  };
  await keepOffline();
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = (event: MessageEvent<Reply>) => waiting.shift()?.(event.data);
  await loadNetwork();
}

/** Waits, not for long, until the service worker keeps what is loaded from then on. */
async function keepOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const service = navigator.serviceWorker;
  await service.register("service-worker.js").catch(() => undefined);
  if (service.controller !== null) return;
  await new Promise((resolve) => {
    service.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(resolve, OFFLINE_PATIENCE);
  });
}

main().catch((error) => say(`The page cannot be started (${error}); load it again.`, true));
