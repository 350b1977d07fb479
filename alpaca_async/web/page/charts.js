// The histogram and the statistics of the picture, and the temperature over the night.

import { byId, drawLines, setTextById } from "./dom.js";
import { load } from "./requests.js";
import { page } from "./state.js";
import { UNKNOWN, degrees, number, orUnknown } from "./text.js";

const HISTORY_INTERVAL = 10000; // milliseconds

let histogramOf = null; // the name of the frame whose histogram is drawn
let historyOf = null; // the number of the camera, and the time, of the history that is drawn

export function renderStatistics(frame) {
  byId("measured").hidden = !frame?.statistics;
  if (!frame?.statistics) return; // frames of earlier runs have none
  const { median, maximum, saturated, stars, hfd } = frame.statistics;
  setTextById("median", orUnknown(median, (value) => `${number(value, 0)} ADU`));
  setTextById("maximum", orUnknown(maximum, (value) => `${number(value, 0)} ADU`));
  setTextById("saturated", saturated === 0 ? "none" : `${saturated} pixels`);
  setTextById("stars", `${stars} measured`);
  setTextById("hfd", orUnknown(hfd, (value) => `${number(value, 1)} pixels`));
  if (histogramOf === frame.name) return;
  histogramOf = frame.name;
  drawHistogram(frame.name).catch(() => { histogramOf = null; });
}

async function drawHistogram(name) {
  const { counts, low, high } = await load(`api/frames/${name}/histogram`);
  if (histogramOf !== name) return;
  const most = Math.log1p(Math.max(...counts));
  const points = counts.map((count, index) => [(index + 0.5) / counts.length, most ? Math.log1p(count) / most : 0]);
  drawLines("histogram", [{ points, className: "counts" }]);
  byId("histogram").setAttribute("aria-label", `Histogram from ${number(low, 0)} to ${number(high, 0)} ADU, logarithmic`);
  setTextById("low", number(low, 0));
  setTextById("high", `${number(high, 0)} ADU`);
}

export function renderHistory(camera) {
  if (historyOf?.number === camera.number && Date.now() - historyOf.time < HISTORY_INTERVAL) return;
  historyOf = { number: camera.number, time: Date.now() };
  drawHistory(camera.number).catch(() => {});
}

async function drawHistory(cameraNumber) {
  const samples = await load(`api/cameras/${cameraNumber}/history`);
  if (page.number !== cameraNumber) return;
  const times = samples.map((each) => Date.parse(each.time));
  const temperatures = samples.map((each) => each.ccd_temperature);
  const known = temperatures.filter((value) => value !== null);
  byId("night-plot").hidden = known.length < 2;
  if (known.length < 2) return;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const setPoints = samples.map((each) => each.set_point);
  const wanted = setPoints.filter((value) => value !== null);
  const [bottom, top] = [Math.min(low, high - 2, ...wanted), Math.max(high, ...wanted)];
  const powers = samples.map((each) => each.cooler_power);
  drawLines("history", [
    { points: pointsOf(times, powers, 0, 100), className: "power" },
    { points: pointsOf(times, setPoints, bottom, top), className: "set-point" },
    { points: pointsOf(times, temperatures, bottom, top), className: "temperature" },
  ]);
  const power = powers.findLast((value) => value !== null);
  setTextById("since", `${new Date(times[0]).toISOString().slice(11, 16)} UTC`);
  setTextById("temperature-range", `${degrees(low)} to ${degrees(high)}`);
  setTextById("set-point-shown", setPoints.at(-1) === null ? "" : `Set point ${degrees(setPoints.at(-1))}`);
  setTextById("power-range", power == null ? "" : `Cooler ${Math.round(power)} %`);
  byId("history").setAttribute("aria-label", `Sensor temperature from ${degrees(low)} to ${degrees(high)}, cooler power ${power == null ? UNKNOWN : `${Math.round(power)} %`}`);
}

function pointsOf(times, values, low, high) {
  const span = times.at(-1) - times[0] || 1;
  return values.flatMap((value, index) =>
    value === null ? [] : [[(times[index] - times[0]) / span, (value - low) / (high - low || 1)]]);
}
