// The most important message, above the picture.

import { byId, setText } from "./dom.js";
import { page, serverIsSilent } from "./state.js";
import { ERRORS, REASONS } from "./text.js";

let shown = null; // the text of the alert
let dismissed = null; // the text of the alert that the user has closed

export function renderAlert(camera) {
  const alert = alertOf(camera);
  shown = alert && [alert.title, alert.detail].join("\n");
  if (shown !== dismissed) dismissed = null;
  const box = byId("alert");
  const [title, text, detail] = box.firstElementChild.children;
  box.hidden = shown === dismissed;
  box.dataset.level = alert?.level ?? "";
  setText(title, alert?.title ?? "");
  setText(text, alert?.text ?? "");
  setText(detail, alert?.detail ?? "");
}

export function dismissAlert() {
  dismissed = shown;
  byId("alert").hidden = true;
}

function alertOf(camera) {
  if (page.refusal !== null) return { level: "bad", title: "The server was started again.", text: page.refusal };
  if (serverIsSilent()) {
    const text = "It was stopped, which ends exposures, or it cannot be reached. The values below are out of date. The page reconnects automatically.";
    return { level: "bad", title: `The server of this page, ${location.host}, does not answer.`, text };
  }
  if (camera === undefined) return null;
  if (page.notice?.number === camera.number) return page.notice;
  return connectionAlertOf(camera) ?? frameAlertOf(camera);
}

function connectionAlertOf(camera) {
  if (camera.status_error) {
    const text = camera.order ? "The exposure may still be running. If the camera answers soon, its image is downloaded." : "Reconnecting.";
    const { detail, number } = camera.status_error;
    const title = number === null ? `The camera at ${new URL(camera.server).host} does not answer.` : "The camera reports an error.";
    return { level: "bad", title, text, detail };
  }
  if (!camera.late) return null;
  return { level: "warn", title: "The camera answers slowly.", text: `Its last status is ${Math.round(camera.silent_for)} s old.` };
}

function frameAlertOf({ storage_error, saved_elsewhere, exposure_error, order }) {
  if (storage_error) {
    const text = order ? "It is kept in memory, and saved as soon as that is possible. Abort saves it in another folder." : "";
    return { level: "bad", title: "A frame cannot be saved.", text, detail: storage_error.detail };
  }
  const isAborted = exposure_error?.kind === "aborted";
  if (exposure_error && !isAborted) return exposureAlertOf(exposure_error, order !== null);
  if (saved_elsewhere) return { level: "warn", title: "Saved in another folder:", text: saved_elsewhere };
  return isAborted ? { level: "warn", title: "The exposure was aborted.", text: whereText(exposure_error.frame) } : null;
}

function exposureAlertOf({ status, kind, detail, frame }, goesOn) {
  const title = REASONS[kind] ?? (goesOn ? "A frame failed; the others follow." : "The exposure failed.");
  const advice = kind === "busy" ? "Abort ends its exposure." : kind === "lost" ? "" : ERRORS[status];
  return { level: "bad", title, text: `${advice} ${whereText(frame)}`.trim(), detail };
}

const whereText = (frame) => (frame?.step || frame?.frame ? `Step ${frame.step + 1}, frame ${frame.frame + 1}.` : "");
