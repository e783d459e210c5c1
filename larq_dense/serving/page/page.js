"use strict";

const drop = document.getElementById("drop");
const chooser = document.getElementById("picture");
const status = document.getElementById("status");
const result = document.getElementById("result");
const save = document.getElementById("save");
const figure = document.querySelector("figure");
const form = document.querySelector("form");

let picture = null;
// Only the newest request's answer is shown.
let latest = 0;

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

async function label() {
  if (!picture) return;
  const request = ++latest;
  const format = form.elements.format.value;
  say("Working …");
  try {
    const answer = await fetch(`predict?format=${format}`, { method: "POST", body: picture });
    const content = answer.ok ? await answer.blob() : await answer.json();
    if (request !== latest) return;
    if (!answer.ok) return say(`Error: ${content.error}`, true);
    show(URL.createObjectURL(content), format);
  } catch {
    if (request === latest) say("Error: the server does not answer.", true);
  }
}

function show(url, format) {
  URL.revokeObjectURL(result.src);
  result.src = save.href = url;
  result.alt = `${format} of ${picture.name || "the picture"}`;
  save.download = `${(picture.name || "picture").replace(/\.[^.]*$/, "")}_${format}.png`;
  figure.hidden = false;
  say("Done.");
}

function take(files) {
  if (!files || !files.length) return;
  picture = files[0];
  label();
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (event.target === chooser) take(chooser.files);
  else label();
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
