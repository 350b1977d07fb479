// The cooler: its state, and the form that cools down, warms up, or ends that.

import { byId, setTextById } from "./dom.js";
import { decimal, requireDecimal } from "./decimal.js";
import { send } from "./requests.js";
import { page, serverIsSilent } from "./state.js";
import { ERRORS, degrees } from "./text.js";

let shownFor = null; // the number of the camera whose set point the form has got

export function renderCooling(camera) {
  byId("cooling").hidden = !camera.info?.can_set_ccd_temperature;
  const { order, set_point, wanted, error } = camera.cooling;
  setTextById("cooling-state", stateText(camera));
  byId("cooling-state").dataset.level = error ? "bad" : isOffUnasked(camera) ? "warn" : "";
  for (const button of byId("ramp").querySelectorAll("button")) button.disabled = serverIsSilent();
  byId("hold").disabled ||= order === null;
  byId("warm-up").disabled ||= order === null && set_point === null; // it is warm
  const shown = order?.set_point ?? set_point ?? wanted;
  if (shownFor === camera.number || shown === null) return;
  shownFor = camera.number;
  byId("set-point").value = Math.round(10 * shown) / 10;
  if (order?.rate) byId("rate").value = order.rate;
}

// The server of a camera that was restarted has usually turned the cooler off.
const isOffUnasked = ({ cooling: { order, set_point, wanted } }) => order === null && set_point === null && wanted !== null;

function stateText(camera) {
  const { order, progress, set_point, wanted, error } = camera.cooling;
  if (order !== null) {
    const goal = order.set_point === null ? "Warming up" : `Cooling to ${degrees(order.set_point)}`;
    return progress === null ? goal : `${goal}: now ${degrees(progress.temperature)}, ${Math.round(100 * progress.fraction)} %`;
  }
  if (error !== null) return `${ERRORS[error.status]} ${error.detail}`;
  if (isOffUnasked(camera)) return `The cooler is off, but ${degrees(wanted)} was asked for. Cool turns it on again.`;
  return set_point === null ? "The cooler is off" : `Set to ${degrees(set_point)}`;
}

export function listenToCooling(render) {
  const order = async (set_point) => {
    await send("POST", `cameras/${page.number}/cooling`, { set_point, rate: decimal(byId("rate").value) });
    render();
  };
  requireDecimal(byId("set-point"), -273.15, 100);
  requireDecimal(byId("rate"), 0.01, 1000);
  byId("ramp").onsubmit = (event) => {
    event.preventDefault();
    order(decimal(byId("set-point").value));
  };
  byId("warm-up").onclick = () => { if (byId("rate").reportValidity()) order(null); };
  byId("hold").onclick = async () => {
    await send("DELETE", `cameras/${page.number}/cooling`);
    render();
  };
}
