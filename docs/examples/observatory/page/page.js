// The server tells how all cameras are (server-sent events); the page shows it, whole, each time.

const STATES = ["Idle", "Waiting", "Exposing", "Reading out", "Downloading", "Error"];
const STEPS = { exposing: "Exposing", reading: "Reading out", downloading: "Downloading" };
const TROUBLES = {
  400: "It does not take this value.",
  409: "It cannot do that in its present state.",
  501: "It does not have that.",
  502: "It reports an error.",
  503: "It is not connected, or out of reach.",
  504: "It took too long.",
};
const SILENCE = 4000; // milliseconds after which the server itself is missed; it speaks each second

const the = (id) => document.getElementById(id);
const page = {
  cameras: [], // what the server told last
  number: 0, // of the camera that is shown
  frame: null, // the name of the frame that is shown; null: the latest
  notice: null, // what the answer to an order said
  heard: null, // when the server spoke last
  lost: false, // whether the connection to it broke
};

const shown = () => page.cameras[page.number];

/* ---- what the server tells ---- */

function listen() {
  const events = new EventSource("api/events");
  events.onmessage = (event) => {
    page.cameras = JSON.parse(event.data);
    page.heard = Date.now();
    page.lost = false;
    render();
  };
  events.onerror = () => {
    page.lost = true;
    render();
    // It tries again by itself, unless something else than the server has answered.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, SILENCE);
  };
}

const serverIsSilent = () => page.lost || (page.heard !== null && Date.now() - page.heard > SILENCE);

/* ---- what the page asks for ---- */

async function order() {
  const form = new FormData(the("order"));
  page.notice = page.frame = null;
  await ask("POST", {
    duration: Number(form.get("duration")),
    light: form.get("light") === "true",
    binning: Number(form.get("binning") ?? 1),
  });
}

async function ask(method, body) {
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
      mood: "bad",
      title: "The connection to the observatory's server broke.",
      text: "If the server still runs, it aborts the exposure.",
    };
  }
  render();
}

async function noticeOf(response) {
  const { detail, status } = await response.json().catch(() => ({ detail: "The server has a fault." }));
  if (status) return { mood: "bad", title: "The camera did not obey.", text: TROUBLES[status], detail };
  if (!Array.isArray(detail)) return { mood: "warn", title: detail, text: "" };
  const wrong = detail.map((each) => `${each.loc.at(-1)}: ${each.msg}`).join("; ");
  return { mood: "bad", title: "That cannot be exposed.", text: wrong };
}

/* ---- what is shown ---- */

function render() {
  renderLink();
  renderCameras();
  const camera = shown();
  write("hint", camera ? "No picture yet" : page.heard ? "There is no camera" : "Waiting for the server");
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
  the("link").dataset.mood = silent ? "bad" : page.heard === null ? "warn" : "good";
  write("link", silent ? "Server lost, trying again" : page.heard === null ? "Connecting" : "Live");
}

function moodOf(camera) {
  if (camera.fault) return "bad";
  if (camera.late) return "warn";
  return camera.order ? "busy" : camera.failure ? "bad" : camera.status ? "good" : "";
}

function renderCameras() {
  fill("cameras", page.cameras, (camera) => camera.number, (camera) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("b"), document.createElement("small"));
    button.onclick = () => choose(camera.number);
    return button;
  }, (button, camera) => {
    setText(button.firstChild, camera.info?.name ?? "Camera");
    setText(button.lastChild, camera.address);
    button.dataset.mood = moodOf(camera);
    button.setAttribute("aria-current", String(camera.number === page.number));
  });
}

function choose(number) {
  page.number = number;
  page.frame = null;
  render();
}

function alertOf(camera) {
  const seconds = Math.round(camera.silent_for);
  if (serverIsSilent()) {
    return { mood: "bad", title: "The observatory's server does not answer.", text: "What you see is old. The page tries again by itself." };
  }
  if (camera.fault) {
    const hope = camera.order ? "Its exposure may still run; the picture is fetched if it comes back soon." : "Trying again.";
    return { mood: "bad", title: "The camera does not answer.", text: hope, detail: camera.fault.detail };
  }
  if (camera.late) {
    return { mood: "warn", title: "The camera answers slowly.", text: `It was last heard ${seconds} s ago.` };
  }
  if (camera.failure) {
    return { mood: "bad", title: "The exposure failed.", text: TROUBLES[camera.failure.status], detail: camera.failure.detail };
  }
  return page.notice?.number === camera.number ? page.notice : null;
}

function renderAlert(camera) {
  const alert = alertOf(camera);
  const box = the("alert");
  box.hidden = alert === null;
  box.dataset.mood = alert?.mood ?? "";
  setText(box.firstElementChild, alert?.title ?? "");
  setText(box.children[1], alert?.text ?? "");
  setText(box.lastElementChild, alert?.detail ?? "");
}

function stepOf({ progress, fault, late }) {
  if (progress === null) return "Preparing";
  if (progress.phase === "downloading" && progress.fraction === 1) return "Saving";
  return STEPS[progress.phase] + (fault || late ? ", as far as known" : "");
}

function renderRunning(camera) {
  const progress = camera.progress;
  the("running").hidden = camera.order === null;
  const percent = progress?.fraction == null ? "" : ` ${Math.round(100 * progress.fraction)} %`;
  document.title = camera.order === null ? "Observatory" : `${stepOf(camera)}${percent} · Observatory`;
  if (camera.order === null) return;
  write("step", stepOf(camera));
  write("left", leftOf(camera));
  if (progress?.fraction == null) the("progress").removeAttribute("value");
  else the("progress").value = progress.fraction;
}

function leftOf({ progress, order }) {
  if (progress?.phase === "exposing" && progress.seconds_left != null) {
    return `${timeOf(progress.seconds_left)} left of ${timeOf(order.duration).replace(".0 ", " ")}`;
  }
  if (progress?.phase === "downloading" && progress.bytes_total) {
    return `${(progress.bytes_received / 1e6).toFixed(1)} of ${(progress.bytes_total / 1e6).toFixed(1)} MB`;
  }
  return "";
}

function timeOf(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.ceil(seconds);
  const rest = whole % 60;
  return `${Math.floor(whole / 60)} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
}

const utc = (text) => `${new Date(text).toISOString().slice(11, 19)} UTC`;

const degrees = (value) => `${value.toFixed(1).replace("-", "−")} °C`;

const frameOf = (camera) => camera.frames.find((each) => each.name === page.frame) ?? camera.frames[0];

function renderPicture(camera) {
  const frame = frameOf(camera);
  const picture = the("picture");
  the("empty").hidden = frame !== undefined;
  picture.hidden = the("download").hidden = frame === undefined;
  write("caption", frame ? captionOf(frame) : "");
  if (frame === undefined || picture.dataset.name === frame.name) return;
  picture.dataset.name = frame.name;
  picture.src = frame.preview;
  picture.alt = `${frame.light ? "Light" : "Dark"} frame of ${frame.duration} seconds, stretched so that faint stars show`;
  the("download").href = frame.fits;
  the("sky").style.aspectRatio = `${frame.width} / ${frame.height}`;
}

function captionOf(frame) {
  const facts = [
    utc(frame.started),
    `${frame.duration} s ${frame.light ? "light" : "dark"}`,
    `${frame.width} × ${frame.height}`,
  ];
  if (frame.ccd_temperature !== null) facts.push(degrees(frame.ccd_temperature));
  return facts.join(" · ");
}

function renderFrames(camera) {
  the("latest").hidden = camera.frames.length < 2;
  fill("frames", camera.frames, (frame) => frame.name, (frame) => {
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
    item.firstChild.setAttribute("aria-current", String(frame === frameOf(camera)));
  });
}

function renderForm(camera) {
  const usable = !serverIsSilent();
  the("expose").disabled = camera.order !== null || camera.status === null || !usable;
  the("abort").disabled = !usable || (camera.order === null && !isExposing(camera));
  const most = Math.min(camera.info?.max_bin_x ?? 1, camera.info?.max_bin_y ?? 1, 4);
  const binnings = Array.from({ length: most }, (_, index) => index + 1);
  fill("binnings", binnings, (binning) => binning, (binning) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "binning", value: binning, checked: binning === 1 });
    text.textContent = `${binning} × ${binning}`;
    label.append(input, text);
    return label;
  }, () => {}, 1);
}

const isExposing = (camera) => !camera.fault && [1, 2, 3].includes(camera.status?.camera_state);

function renderStatus(camera) {
  const { info, status } = camera;
  const missing = "–";
  the("status").dataset.stale = String(camera.late || camera.fault !== null || serverIsSilent());
  write("state", STATES[status?.camera_state] ?? missing);
  write("temperature", status?.ccd_temperature == null ? missing : degrees(status.ccd_temperature));
  write("cooler", status?.cooler_power == null ? missing : `${Math.round(status.cooler_power)} %`);
  write("sensor", info?.camera_x_size ? [info.sensor_name, `${info.camera_x_size} × ${info.camera_y_size}`].filter(Boolean).join(", ") : missing);
  write("driver", info?.driver_version ?? missing);
  write("heard", status === null ? "not yet" : !camera.fault && camera.silent_for < 2 ? "now" : `${Math.round(camera.silent_for)} s ago`);
}

/* ---- little helpers ---- */

// Text that stays is not touched: screen readers would say it again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const write = (id, text) => setText(the(id), text);

// Lets a list have one element for each item, made once and updated each time; the first `kept` stay.
function fill(id, items, keyOf, make, update, kept = 0) {
  const list = the(id);
  const present = new Map([...list.children].slice(kept).map((each) => [each.dataset.key, each]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    const element = present.get(key) ?? make(item);
    element.dataset.key = key;
    update(element, item);
    return element;
  });
  for (const each of present.values()) if (!wanted.includes(each)) each.remove();
  wanted.forEach((each, index) => {
    if (list.children[index + kept] !== each) list.insertBefore(each, list.children[index + kept] ?? null);
  });
}

function setNight(on) {
  document.documentElement.classList.toggle("night", on);
  the("night").setAttribute("aria-pressed", String(on));
  localStorage.setItem("night", on ? "on" : "");
}

the("order").addEventListener("submit", (event) => {
  event.preventDefault();
  order();
});
the("abort").onclick = () => ask("DELETE");
the("night").onclick = () => setNight(the("night").getAttribute("aria-pressed") !== "true");
for (const chip of document.querySelectorAll(".chips button")) {
  chip.onclick = () => { the("duration").value = chip.value; };
}
setNight(localStorage.getItem("night") === "on");
setInterval(render, 1000);
listen();
