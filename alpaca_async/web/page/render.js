// Renders the state of the latest event completely; keeps nothing that could become wrong.

import { renderHistory, renderStatistics } from "./charts.js";
import { byId, setText, setTextById, updateList } from "./dom.js";
import { renderForm } from "./order.js";
import { renderFrames, renderPicture } from "./picture.js";
import { renderRig } from "./rig.js";
import { renderSequence } from "./sequence.js";
import { page, selectedCamera, selectedFrame, serverIsSilent } from "./state.js";
import { ERRORS, PHASES, STATES, UNKNOWN, degrees, durationText } from "./text.js";

export function render() {
  renderLink();
  renderCameras();
  const camera = selectedCamera();
  setTextById("hint", camera ? "No picture yet" : page.eventTime ? "No camera" : "Waiting for the server");
  if (camera === undefined) return;
  const frame = selectedFrame(camera);
  renderAlert(camera);
  renderRunning(camera);
  renderPicture(frame);
  renderFrames(camera, render);
  renderForm(camera);
  renderSequence(camera, render);
  renderRig(camera, render);
  renderStatus(camera);
  renderStatistics(frame);
  renderHistory(camera);
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
  byId("cameras").hidden = page.cameras.length < 2;
  updateList("cameras", page.cameras, (camera) => camera.number, (camera) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("b"), document.createElement("small"));
    button.onclick = () => selectCamera(camera.number);
    return button;
  }, (button, camera) => {
    setText(button.firstChild, camera.info?.name ?? "Camera");
    setText(button.lastChild, `${new URL(camera.server).host} · ${camera.device_number}`);
    button.dataset.level = levelOf(camera);
    button.setAttribute("aria-current", String(camera.number === page.number));
  });
}

function selectCamera(number) {
  page.number = number;
  page.frame = page.zoom = null;
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
  if (camera.storage_error) {
    const text = camera.order ? "It is kept in memory, and saved as soon as that is possible. Abort saves it elsewhere." : "";
    return { level: "bad", title: "A frame cannot be saved.", text, detail: camera.storage_error.detail };
  }
  if (page.notice?.number === camera.number) return page.notice;
  return camera.exposure_error && exposureAlertOf(camera.exposure_error, camera.order !== null);
}

function exposureAlertOf({ status, number, detail, frame }, goesOn) {
  const where = frame?.step || frame?.frame ? `Step ${frame.step + 1}, frame ${frame.frame + 1}.` : "";
  if (status === 409 && number === null) return { level: "warn", title: detail, text: where };
  const title = goesOn ? "A frame failed; the others follow." : "The exposure failed.";
  return { level: "bad", title, text: `${ERRORS[status]} ${where}`.trim(), detail };
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

function phaseText(camera) {
  const { progress, status_error, late } = camera;
  const which = whichText(camera);
  if (progress === null) return `Preparing${which}`;
  if (progress.phase === "downloading" && progress.fraction === 1) return `Saving${which}`;
  return PHASES[progress.phase] + which + (status_error || late ? " (estimated)" : "");
}

// Which frame of the step, and which step, where there are several.
function whichText({ order, current }) {
  if (current === null) return "";
  const { count } = order.steps[current.step];
  const frame = count > 1 ? ` ${current.frame + 1} of ${count}` : "";
  return order.steps.length > 1 ? `${frame}${frame && ","} step ${current.step + 1} of ${order.steps.length}` : frame;
}

function renderRunning(camera) {
  const progress = camera.progress;
  byId("running").hidden = camera.order === null;
  const percent = progress?.fraction == null ? "" : ` ${Math.round(100 * progress.fraction)} %`;
  document.title = camera.order === null ? "Observatory" : `${phaseText(camera)}${percent} · Observatory`;
  if (camera.order === null) return;
  setTextById("step", phaseText(camera));
  setTextById("left", remainingText(camera));
  if (progress?.fraction == null) byId("progress").removeAttribute("value");
  else byId("progress").value = progress.fraction;
}

function remainingText({ progress, order, current }) {
  if (progress?.phase === "exposing" && progress.seconds_left != null) {
    return `${durationText(progress.seconds_left)} left of ${durationText(order.steps[current.step].duration).replace(".0 ", " ")}`;
  }
  if (progress?.phase === "downloading" && progress.bytes_total) {
    return `${(progress.bytes_received / 1e6).toFixed(1)} of ${(progress.bytes_total / 1e6).toFixed(1)} MB`;
  }
  return "";
}

function renderStatus(camera) {
  const { info, status } = camera;
  byId("status").dataset.stale = String(camera.late || camera.status_error !== null || serverIsSilent());
  setTextById("state", STATES[status?.camera_state] ?? UNKNOWN);
  setTextById("temperature", status?.ccd_temperature == null ? UNKNOWN : degrees(status.ccd_temperature));
  setTextById("cooler", status?.cooler_power == null ? UNKNOWN : `${Math.round(status.cooler_power)} %`);
  setTextById("sensor", info?.camera_x_size ? [info.sensor_name, `${info.camera_x_size} × ${info.camera_y_size}`].filter(Boolean).join(", ") : UNKNOWN);
  setTextById("driver", info?.driver_version ?? UNKNOWN);
  setTextById("last-update", status === null ? "not yet" : !camera.status_error && camera.silent_for < 2 ? "now" : `${Math.round(camera.silent_for)} s ago`);
}
