// Renders the state of the latest event completely; keeps nothing that could become wrong.

import { renderAlert } from "./alert.js";
import { renderHistory, renderStatistics } from "./charts.js";
import { renderCooling } from "./cooling.js";
import { byId, setText, setTextById, updateList } from "./dom.js";
import { renderForm } from "./order.js";
import { renderFrames, renderPicture } from "./picture.js";
import { renderRig } from "./rig.js";
import { renderSequence } from "./sequence.js";
import { page, selectedCamera, selectedFrame, serverIsSilent } from "./state.js";
import { PHASES, STATES, UNKNOWN, degrees, durationText } from "./text.js";

export function render() {
  renderLink();
  renderCameras();
  const camera = selectedCamera();
  setTextById("hint", camera ? "No picture yet" : page.eventTime ? "No camera" : "Waiting for the server");
  renderAlert(camera);
  if (camera === undefined) return;
  const frame = selectedFrame(camera);
  renderRunning(camera);
  renderPicture(frame);
  renderFrames(camera, render);
  renderForm(camera);
  renderSequence(camera, render);
  renderRig(camera, render);
  renderCooling(camera);
  renderStatus(camera);
  renderStatistics(frame);
  renderHistory(camera);
}

function renderLink() {
  const silent = serverIsSilent();
  byId("link").dataset.level = silent ? "bad" : page.eventTime === null ? "warn" : "good";
  setTextById("link", silent ? "Server lost, reconnecting" : page.eventTime === null ? "Connecting" : "Live");
}

// A camera that answers is not lost, even if its last exposure was.
function levelOf(camera) {
  if (camera.status_error) return "bad";
  if (camera.late) return "warn";
  if (camera.order) return "busy";
  if (camera.exposure_error && camera.exposure_error.kind !== "aborted") return "warn";
  return camera.status ? "good" : "";
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

// A server that is silent may have ended the exposure: then there is nothing to count on.
function renderRunning(camera) {
  const { progress } = camera;
  const isShown = camera.order !== null && !serverIsSilent();
  byId("running").hidden = !isShown;
  const percent = progress?.fraction == null ? "" : ` ${Math.round(100 * progress.fraction)} %`;
  document.title = isShown ? `${phaseText(camera)}${percent} · Observatory` : "Observatory";
  setTextById("note", isShown ? [phaseText(camera), remainingText(camera)].filter(Boolean).join(", ") : `Frames are saved in ${page.folder}`);
  if (!isShown) return;
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
