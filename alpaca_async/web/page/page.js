// The server sends the state of all cameras as server-sent events. Each event is rendered completely.

const STATES = ["Idle", "Waiting", "Exposing", "Reading out", "Downloading", "Error"];
const STEPS = { exposing: "Exposing", reading: "Reading out", downloading: "Downloading" };
const ERRORS = {
  400: "The camera does not accept this value.",
  409: "The camera cannot do this in its current state.",
  501: "The camera does not support this.",
  502: "The camera reports an error.",
  503: "The camera is not connected, or cannot be reached.",
  504: "The camera took too long.",
};
const SERVER_TIMEOUT = 4000; // milliseconds; the server sends an event at least once a second

const byId = (id) => document.getElementById(id);
const page = {
  cameras: [], // the last event of the server
  number: 0, // of the selected camera
  frame: null, // the name of the selected frame; null: the latest
  notice: null, // the error of the last request
  eventTime: null, // of the last event
  connectionLost: false,
};

const selectedCamera = () => page.cameras[page.number];

/* ---- events of the server ---- */

function listen() {
  const events = new EventSource("api/events");
  events.onmessage = (event) => {
    page.cameras = JSON.parse(event.data);
    page.eventTime = Date.now();
    page.connectionLost = false;
    render();
  };
  events.onerror = () => {
    page.connectionLost = true;
    render();
    // The browser reconnects, except after a reply that is not an event stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, SERVER_TIMEOUT);
  };
}

const serverIsSilent = () => page.connectionLost || (page.eventTime !== null && Date.now() - page.eventTime > SERVER_TIMEOUT);

/* ---- requests to the server ---- */

async function startExposure() {
  const form = new FormData(byId("order"));
  page.notice = page.frame = null;
  await sendRequest("POST", {
    duration: Number(form.get("duration")),
    light: form.get("light") === "true",
    binning: Number(form.get("binning") ?? 1),
  });
}

async function sendRequest(method, body) {
  const number = page.number;
  try {
    const response = await fetch(`api/cameras/${number}/exposures`, {
      method,
      headers: body && { "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) page.notice = { number, ...(await noticeOf(response)) };
  } catch {
    page.notice = {
      number,
      level: "bad",
      title: "The connection to the server was lost.",
      text: "If the server is still running, it aborts the exposure.",
    };
  }
  render();
}

async function noticeOf(response) {
  const { detail, status } = await response.json().catch(() => ({ detail: "Internal server error." }));
  if (status) return { level: "bad", title: "The command failed.", text: ERRORS[status], detail };
  if (!Array.isArray(detail)) return { level: "warn", title: detail, text: "" };
  const errors = detail.map((each) => `${each.loc.at(-1)}: ${each.msg}`).join("; ");
  return { level: "bad", title: "Invalid exposure settings.", text: errors };
}

/* ---- rendering ---- */

function render() {
  renderLink();
  renderCameras();
  const camera = selectedCamera();
  setTextById("hint", camera ? "No picture yet" : page.eventTime ? "No camera" : "Waiting for the server");
  if (camera === undefined) return;
  renderAlert(camera);
  renderRunning(camera);
  renderPicture(camera);
  renderFrames(camera);
  renderForm(camera);
  renderStatus(camera);
}

function renderLink() {
  const silent = serverIsSilent();
  byId("link").dataset.level = silent ? "bad" : page.eventTime === null ? "warn" : "good";
  setTextById("link", silent ? "Server lost, reconnecting" : page.eventTime === null ? "Connecting" : "Live");
}

function levelOf(camera) {
  if (camera.status_error) return "bad";
  if (camera.late) return "warn";
  return camera.order ? "busy" : camera.exposure_error ? "bad" : camera.status ? "good" : "";
}

function renderCameras() {
  updateList("cameras", page.cameras, (camera) => camera.number, (camera) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("b"), document.createElement("small"));
    button.onclick = () => selectCamera(camera.number);
    return button;
  }, (button, camera) => {
    setText(button.firstChild, camera.info?.name ?? "Camera");
    setText(button.lastChild, camera.address);
    button.dataset.level = levelOf(camera);
    button.setAttribute("aria-current", String(camera.number === page.number));
  });
}

function selectCamera(number) {
  page.number = number;
  page.frame = null;
  render();
}

function alertOf(camera) {
  const seconds = Math.round(camera.silent_for);
  if (serverIsSilent()) {
    return { level: "bad", title: "The server does not answer.", text: "The values below are out of date. The page reconnects automatically." };
  }
  if (camera.status_error) {
    const text = camera.order ? "The exposure may still be running. If the camera answers soon, its image is downloaded." : "Reconnecting.";
    return { level: "bad", title: "The camera does not answer.", text, detail: camera.status_error.detail };
  }
  if (camera.late) {
    return { level: "warn", title: "The camera answers slowly.", text: `Its last status is ${seconds} s old.` };
  }
  if (camera.exposure_error) {
    return { level: "bad", title: "The exposure failed.", text: ERRORS[camera.exposure_error.status], detail: camera.exposure_error.detail };
  }
  return page.notice?.number === camera.number ? page.notice : null;
}

function renderAlert(camera) {
  const alert = alertOf(camera);
  const box = byId("alert");
  box.hidden = alert === null;
  box.dataset.level = alert?.level ?? "";
  setText(box.firstElementChild, alert?.title ?? "");
  setText(box.children[1], alert?.text ?? "");
  setText(box.lastElementChild, alert?.detail ?? "");
}

function stepText({ progress, status_error, late }) {
  if (progress === null) return "Preparing";
  if (progress.phase === "downloading" && progress.fraction === 1) return "Saving";
  return STEPS[progress.phase] + (status_error || late ? " (estimated)" : "");
}

function renderRunning(camera) {
  const progress = camera.progress;
  byId("running").hidden = camera.order === null;
  const percent = progress?.fraction == null ? "" : ` ${Math.round(100 * progress.fraction)} %`;
  document.title = camera.order === null ? "Observatory" : `${stepText(camera)}${percent} · Observatory`;
  if (camera.order === null) return;
  setTextById("step", stepText(camera));
  setTextById("left", remainingText(camera));
  if (progress?.fraction == null) byId("progress").removeAttribute("value");
  else byId("progress").value = progress.fraction;
}

function remainingText({ progress, order }) {
  if (progress?.phase === "exposing" && progress.seconds_left != null) {
    return `${durationText(progress.seconds_left)} left of ${durationText(order.duration).replace(".0 ", " ")}`;
  }
  if (progress?.phase === "downloading" && progress.bytes_total) {
    return `${(progress.bytes_received / 1e6).toFixed(1)} of ${(progress.bytes_total / 1e6).toFixed(1)} MB`;
  }
  return "";
}

function durationText(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.ceil(seconds);
  const rest = whole % 60;
  return `${Math.floor(whole / 60)} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
}

const utc = (text) => `${new Date(text).toISOString().slice(11, 19)} UTC`;

const degrees = (value) => `${value.toFixed(1).replace("-", "−")} °C`;

const selectedFrame = (camera) => camera.frames.find((each) => each.name === page.frame) ?? camera.frames[0];

function renderPicture(camera) {
  const frame = selectedFrame(camera);
  const picture = byId("picture");
  byId("empty").hidden = frame !== undefined;
  picture.hidden = byId("download").hidden = frame === undefined;
  setTextById("caption", frame ? captionText(frame) : "");
  if (frame === undefined || picture.dataset.name === frame.name) return;
  picture.dataset.name = frame.name;
  picture.src = frame.preview;
  picture.alt = `${frame.light ? "Light" : "Dark"} frame of ${frame.duration} seconds, stretched so that faint stars show`;
  byId("download").href = frame.fits;
  byId("sky").style.aspectRatio = `${frame.width} / ${frame.height}`;
}

function captionText(frame) {
  const facts = [
    utc(frame.started),
    `${frame.duration} s ${frame.light ? "light" : "dark"}`,
    `${frame.width} × ${frame.height}`,
  ];
  if (frame.ccd_temperature !== null) facts.push(degrees(frame.ccd_temperature));
  return facts.join(" · ");
}

function renderFrames(camera) {
  byId("latest").hidden = camera.frames.length < 2;
  updateList("frames", camera.frames, (frame) => frame.name, (frame) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = new Image();
    const label = document.createElement("span");
    button.type = "button";
    button.onclick = () => { page.frame = frame.name; render(); };
    image.src = frame.preview;
    image.alt = "";
    label.textContent = `${utc(frame.started)} · ${frame.duration} s`;
    button.append(image, label);
    item.append(button);
    return item;
  }, (item, frame) => {
    item.firstChild.setAttribute("aria-current", String(frame === selectedFrame(camera)));
  });
}

function renderForm(camera) {
  const usable = !serverIsSilent();
  byId("expose").disabled = camera.order !== null || camera.status === null || !usable;
  byId("abort").disabled = !usable || (camera.order === null && !isExposing(camera));
  const most = Math.min(camera.info?.max_bin_x ?? 1, camera.info?.max_bin_y ?? 1, 4);
  const binnings = Array.from({ length: most }, (_, index) => index + 1);
  updateList("binnings", binnings, (binning) => binning, (binning) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "binning", value: binning, checked: binning === 1 });
    text.textContent = `${binning} × ${binning}`;
    label.append(input, text);
    return label;
  }, () => {}, 1);
}

const isExposing = (camera) => !camera.status_error && [1, 2, 3].includes(camera.status?.camera_state);

function renderStatus(camera) {
  const { info, status } = camera;
  const unknown = "–";
  byId("status").dataset.stale = String(camera.late || camera.status_error !== null || serverIsSilent());
  setTextById("state", STATES[status?.camera_state] ?? unknown);
  setTextById("temperature", status?.ccd_temperature == null ? unknown : degrees(status.ccd_temperature));
  setTextById("cooler", status?.cooler_power == null ? unknown : `${Math.round(status.cooler_power)} %`);
  setTextById("sensor", info?.camera_x_size ? [info.sensor_name, `${info.camera_x_size} × ${info.camera_y_size}`].filter(Boolean).join(", ") : unknown);
  setTextById("driver", info?.driver_version ?? unknown);
  setTextById("last-update", status === null ? "not yet" : !camera.status_error && camera.silent_for < 2 ? "now" : `${Math.round(camera.silent_for)} s ago`);
}

/* ---- helpers ---- */

// Does not set unchanged text, because screen readers would read it again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const setTextById = (id, text) => setText(byId(id), text);

// Creates, updates and removes the elements of a list, one for each item; keeps the first `kept` elements.
function updateList(id, items, getKey, create, update, kept = 0) {
  const list = byId(id);
  const existing = new Map([...list.children].slice(kept).map((each) => [each.dataset.key, each]));
  const elements = items.map((item) => {
    const key = String(getKey(item));
    const element = existing.get(key) ?? create(item);
    element.dataset.key = key;
    update(element, item);
    return element;
  });
  for (const each of existing.values()) if (!elements.includes(each)) each.remove();
  elements.forEach((each, index) => {
    if (list.children[index + kept] !== each) list.insertBefore(each, list.children[index + kept] ?? null);
  });
}

function setNight(on) {
  document.documentElement.classList.toggle("night", on);
  byId("night").setAttribute("aria-pressed", String(on));
  localStorage.setItem("night", on ? "on" : "");
}

byId("order").addEventListener("submit", (event) => {
  event.preventDefault();
  startExposure();
});
byId("abort").onclick = () => sendRequest("DELETE");
byId("night").onclick = () => setNight(byId("night").getAttribute("aria-pressed") !== "true");
for (const chip of document.querySelectorAll(".chips button")) {
  chip.onclick = () => { byId("duration").value = chip.value; };
}
setNight(localStorage.getItem("night") === "on");
setInterval(render, 1000);
listen();
