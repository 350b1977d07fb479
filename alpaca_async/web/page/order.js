// The form: the exposures that it asks for, as one step.

import { decimal, requireDecimal } from "./decimal.js";
import { byId, setTextById, updateList } from "./dom.js";
import { send } from "./requests.js";
import { page, selectedCamera, serverIsSilent, wheelOf } from "./state.js";
import { storedPerCamera } from "./stored.js";

const MAX_BINNING = 4;

const settings = storedPerCamera("settings");

// Of which camera the form shows the settings, how many choices it has, and whether the user has changed something.
let shown = { number: null, choices: null, isChanged: false };

export const canExpose = (camera) => camera.order === null && camera.status !== null && !serverIsSilent();

const isExposing = (camera) => !camera.status_error && [1, 2, 3].includes(camera.status?.camera_state);

const numberOrNull = (text) => (text ? Number(text) : null);

export function stepOfForm() {
  const form = new FormData(byId("order"));
  return {
    duration: decimal(form.get("duration")),
    light: form.get("light") === "true",
    binning: Number(form.get("binning") ?? 1),
    count: Number(form.get("count")),
    filter: numberOrNull(form.get("filter")),
    gain: numberOrNull(form.get("gain")),
  };
}

export async function startOrder(steps) {
  page.frame = null;
  await send("POST", `cameras/${page.number}/exposures`, { steps });
}

export function renderForm(camera) {
  byId("expose").disabled = !canExpose(camera);
  byId("abort").disabled = serverIsSilent() || (camera.order === null && !isExposing(camera));
  renderBinnings(camera);
  renderFilters(camera);
  renderGain(camera);
  showSettings(camera);
  setTextById("advice", adviceFor(camera));
}

// Shows the order that runs when the page is opened, else what the user has set for this camera before.
// Does so again when there are more choices, unless the user was faster.
function showSettings(camera) {
  if (camera.number !== shown.number) shown = { number: camera.number, choices: null, isChanged: shown.number === null && shown.isChanged };
  const choices = byId("order").elements.length + byId("filter").length;
  if (shown.isChanged || shown.choices === choices) return;
  shown.choices = choices;
  byId("order").reset();
  const step = camera.order?.steps[camera.current?.step ?? 0] ?? settings.get(camera) ?? {};
  for (const [name, value] of Object.entries(step)) setField(name, value);
  byId("duration").dispatchEvent(new Event("input")); // checks it
}

function setField(name, value) {
  for (const field of byId("order").elements) {
    if (field.name !== name) continue;
    if (field.type !== "radio") field.value = value ?? "";
    else if (field.value === String(value)) field.checked = true;
  }
}

// A light frame behind a closed cover is black, and looks like any other until then.
function adviceFor(camera) {
  const isLight = camera.order?.steps[camera.current?.step ?? 0].light ?? stepOfForm().light;
  const covers = page.devices.filter((device) => device.kind === "covercalibrator" && device.server === camera.server);
  return isLight && covers.some((device) => device.cover === "CLOSED") ? "The cover is closed: a light frame shows nothing." : "";
}

function renderBinnings(camera) {
  const most = Math.min(camera.info?.max_bin_x ?? 1, camera.info?.max_bin_y ?? 1, MAX_BINNING);
  const binnings = Array.from({ length: most }, (_, index) => index + 1);
  updateList("binnings", binnings, (binning) => binning, (binning) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "binning", value: binning, defaultChecked: binning === 1 });
    text.textContent = `${binning} × ${binning}`;
    label.append(input, text);
    return label;
  }, () => {}, 1);
}

function renderFilters(camera) {
  const filters = wheelOf(camera)?.filters ?? [];
  byId("filter-choice").hidden = filters.length === 0;
  const options = filters.map((name, position) => ({ name, position }));
  updateList("filter", options, ({ name, position }) => `${position} ${name}`,
    ({ name, position }) => new Option(name, position), () => {}, 1);
}

function renderGain({ gains }) {
  byId("gain-choice").hidden = gains === null;
  byId("gain").title = gains?.names?.map((name, index) => `${index}: ${name}`).join(", ") ?? "";
  byId("gain").min = gains?.names ? 0 : gains?.minimum ?? "";
  byId("gain").max = gains?.names ? gains.names.length - 1 : gains?.maximum ?? "";
}

export function listenToForm() {
  const form = byId("order");
  requireDecimal(byId("duration"), 0, 86400);
  form.addEventListener("input", rememberSettings);
  for (const chip of form.querySelectorAll(".chips button")) {
    chip.onclick = () => {
      byId("duration").value = chip.value;
      byId("duration").dispatchEvent(new Event("input"));
      rememberSettings();
    };
  }
}

function rememberSettings() {
  shown.isChanged = true;
  if (selectedCamera() !== undefined && byId("order").checkValidity()) settings.set(selectedCamera(), stepOfForm());
}
