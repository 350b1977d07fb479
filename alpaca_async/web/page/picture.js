// The picture, a part of it in full resolution, and the strip of the latest frames.

import { byId, setTextById, updateList } from "./dom.js";
import { page, selectedCamera, selectedFrame } from "./state.js";
import { degrees, secondsText, utc } from "./text.js";

const MAX_SIZE = 1024; // pixels
const STEP = 0.1; // of the frame, for each press of an arrow key
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export function renderPicture(frame) {
  const picture = byId("picture");
  byId("empty").hidden = frame !== undefined;
  byId("tools").hidden = frame === undefined;
  picture.hidden = frame === undefined || page.zoom !== null;
  setTextById("caption", frame ? captionOf(frame) : "");
  renderPixels(frame);
  if (frame === undefined) {
    delete picture.dataset.name;
    return;
  }
  if (picture.dataset.name === frame.name) return;
  picture.dataset.name = frame.name;
  picture.src = frame.preview;
  picture.alt = `${frame.light ? "Light" : "Dark"} frame of ${secondsText(frame.duration)}, stretched so that faint stars show`;
  byId("download").href = frame.fits;
}

function renderPixels(frame) {
  const pixels = byId("pixels");
  pixels.hidden = frame === undefined || page.zoom === null;
  byId("zoom").setAttribute("aria-pressed", String(!pixels.hidden));
  if (pixels.hidden) return;
  const { width, height } = shownSize();
  const { x, y } = page.zoom;
  const url = `api/frames/${frame.name}/pixels?x=${x.toFixed(4)}&y=${y.toFixed(4)}&width=${width}&height=${height}`;
  if (pixels.getAttribute("src") !== url) pixels.src = url;
  pixels.alt = `Pixels around ${Math.round(x * frame.width)}, ${Math.round(y * frame.height)}`;
}

function captionOf(frame) {
  const facts = [
    utc(frame.started),
    `${secondsText(frame.duration)} ${frame.light ? "light" : "dark"}`,
    `${frame.width} × ${frame.height}`,
  ];
  if (frame.filter !== null) facts.push(frame.filter);
  if (frame.ccd_temperature !== null) facts.push(degrees(frame.ccd_temperature));
  return facts.join(" · ");
}

export function renderFrames(camera, render) {
  byId("latest").hidden = camera.frames.length < 2;
  updateList("frames", camera.frames, (frame) => frame.name, (frame) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = new Image();
    const label = document.createElement("span");
    button.type = "button";
    button.onclick = () => { page.frame = frame.name; render(); };
    image.loading = "lazy";
    image.src = frame.preview;
    image.alt = "";
    label.textContent = `${utc(frame.started)}\n${[secondsText(frame.duration), frame.filter].filter(Boolean).join(" · ")}`;
    button.append(image, label);
    item.append(button);
    return item;
  }, (item, frame) => {
    item.firstChild.setAttribute("aria-current", String(frame === selectedFrame(camera)));
  });
}

// Where in the frame a click into the picture is, as fractions.
function pointOf(event) {
  const frame = selectedFrame(selectedCamera());
  const box = byId("sky").getBoundingClientRect();
  const shown = page.zoom === null
    ? { scale: Math.min(box.width / frame.width, box.height / frame.height), x: 0.5, y: 0.5 }
    : { scale: 1, ...page.zoom };
  return movedTo(
    shown.x + (event.clientX - box.left - box.width / 2) / (shown.scale * frame.width),
    shown.y + (event.clientY - box.top - box.height / 2) / (shown.scale * frame.height),
  );
}

// The size of the part that is shown in full resolution: as large as the box, up to the limit of the server.
function shownSize() {
  const sky = byId("sky");
  return { width: Math.min(sky.clientWidth, MAX_SIZE), height: Math.min(sky.clientHeight, MAX_SIZE) };
}

// The nearest point around which such a part is completely inside of the frame.
function movedTo(x, y) {
  const frame = selectedFrame(selectedCamera());
  const { width, height } = shownSize();
  const inside = (fraction, half) => (half >= 0.5 ? 0.5 : Math.min(Math.max(fraction, half), 1 - half));
  return { x: inside(x, width / 2 / frame.width), y: inside(y, height / 2 / frame.height) };
}

export function listenToPicture(render) {
  byId("zoom").onclick = () => {
    page.zoom = page.zoom === null ? { x: 0.5, y: 0.5 } : null;
    render();
    byId("sky").scrollIntoView({ block: "nearest" });
  };
  byId("zoom").onkeydown = (event) => {
    const step = ARROWS[event.key];
    if (step === undefined || page.zoom === null) return;
    event.preventDefault();
    page.zoom = movedTo(page.zoom.x + step[0], page.zoom.y + step[1]);
    render();
  };
  for (const image of [byId("picture"), byId("pixels")]) {
    image.onclick = (event) => {
      page.zoom = pointOf(event);
      render();
    };
  }
}
