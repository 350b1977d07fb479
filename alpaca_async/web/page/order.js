// The form: the exposures that it asks for, as one step.

import { byId, updateList } from "./dom.js";
import { send } from "./requests.js";
import { page, serverIsSilent, wheelOf } from "./state.js";

const MAX_BINNING = 4;

export const canExpose = (camera) => camera.order === null && camera.status !== null && !serverIsSilent();

const isExposing = (camera) => !camera.status_error && [1, 2, 3].includes(camera.status?.camera_state);

export function stepOfForm() {
  const form = new FormData(byId("order"));
  return {
    duration: Number(form.get("duration")),
    light: form.get("light") === "true",
    binning: Number(form.get("binning") ?? 1),
    count: Number(form.get("count")),
    filter: form.get("filter") ? Number(form.get("filter")) : null,
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
}

function renderBinnings(camera) {
  const most = Math.min(camera.info?.max_bin_x ?? 1, camera.info?.max_bin_y ?? 1, MAX_BINNING);
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

function renderFilters(camera) {
  const filters = wheelOf(camera)?.filters ?? [];
  byId("filter-choice").hidden = filters.length === 0;
  const options = filters.map((name, position) => ({ name, position }));
  updateList("filter", options, ({ name, position }) => `${position} ${name}`,
    ({ name, position }) => new Option(name, position), () => {}, 1);
}
