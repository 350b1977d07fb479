// The devices beside the camera: filter wheel, focuser, cover, safety monitor.

import { byId, setText, updateList } from "./dom.js";
import { send } from "./requests.js";
import { page } from "./state.js";

const TITLES = { filterwheel: "Filter", focuser: "Focus", covercalibrator: "Cover", safetymonitor: "Safety" };
const COVER_STATES = {
  NOT_PRESENT: "none", CLOSED: "closed", MOVING: "moving", OPEN: "open", UNKNOWN: "unknown", ERROR: "error",
};

export function renderRig(camera, render) {
  const devices = page.devices.filter((device) => device.server === camera.server);
  byId("rig").hidden = devices.length === 0;
  const command = async (device, action, position) => {
    await send("POST", `devices/${device.number}/commands`, { action, position });
    render();
  };
  updateList("rig", devices, (device) => `${device.number} ${device.filters.join()}`, (device) => create(device, command), update);
}

function create(device, command) {
  const box = document.createElement("div");
  const title = document.createElement("h3");
  const state = document.createElement("p");
  const controls = document.createElement("div");
  controls.className = "controls";
  controls.setAttribute("role", "group");
  title.textContent = TITLES[device.kind];
  title.title = device.name;
  controls.setAttribute("aria-label", TITLES[device.kind]);
  controls.append(...controlsOf(device, command));
  box.append(title, state, controls);
  return box;
}

function controlsOf(device, command) {
  const press = (text, action, position = 0) => button(text, () => command(device, action, position));
  if (device.kind === "filterwheel") return device.filters.map((name, position) => press(name, "move", position));
  if (device.kind === "covercalibrator") return [press("Open", "open"), press("Close", "close"), press("Halt", "halt")];
  if (device.kind !== "focuser") return [];
  const input = document.createElement("input");
  Object.assign(input, { type: "number", min: 0, step: 1, inputMode: "numeric" });
  input.setAttribute("aria-label", "Position of the focuser");
  const move = () => { if (input.value !== "" && input.reportValidity()) command(device, "move", Number(input.value)); };
  input.onkeydown = (event) => { if (event.key === "Enter") move(); };
  return [input, button("Move", move), press("Halt", "halt")];
}

function button(text, onclick) {
  return Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick });
}

function update(box, device) {
  const [title, state, controls] = box.children;
  const problem = device.status_error ?? device.error;
  box.title = problem?.detail ?? device.name;
  setText(state, device.status_error ? "no answer" : device.error ? device.error.detail : stateOf(device));
  state.dataset.level = problem || device.safe === false ? "bad" : device.busy ? "busy" : "good";
  title.dataset.busy = String(device.busy);
  for (const [index, control] of [...controls.children].entries()) {
    control.disabled = device.status_error !== null;
    if (device.kind === "filterwheel") control.setAttribute("aria-pressed", String(index === device.position));
  }
  const input = controls.querySelector("input");
  if (input === null) return;
  input.max = device.maximum ?? "";
  controls.hidden = device.position === null;
  if (input.value === "" && device.position !== null) input.value = device.position;
}

function stateOf(device) {
  if (device.kind === "filterwheel") return device.filters[device.position] ?? "moving";
  if (device.kind === "covercalibrator") return COVER_STATES[device.cover] ?? "";
  if (device.kind === "safetymonitor") return device.safe ? "safe" : "not safe";
  return device.position === null ? "" : `${device.position}${device.busy ? ", moving" : ""}`;
}
