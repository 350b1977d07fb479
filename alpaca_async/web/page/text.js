// Numbers, times and errors as text.

export const UNKNOWN = "–";
export const STATES = ["Idle", "Waiting", "Exposing", "Reading out", "Downloading", "Error"];
export const STEPS = { exposing: "Exposing", reading: "Reading out", downloading: "Downloading" };
export const ERRORS = {
  400: "The camera does not accept this value.",
  409: "The camera cannot do this in its current state.",
  500: "An unexpected error; the log of the server has the details.",
  501: "The camera does not support this.",
  502: "The camera reports an error.",
  503: "The camera is not connected, or cannot be reached.",
  504: "The camera took too long.",
  507: "The frame cannot be saved.",
};

export const utc = (text) => `${new Date(text).toISOString().slice(11, 19)} UTC`;

export const number = (value, digits) => value.toFixed(digits).replace("-", "−");

export const degrees = (value) => `${number(value, 1)} °C`;

export const orUnknown = (value, format) => (value == null ? UNKNOWN : format(value));

export function durationText(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.ceil(seconds);
  const rest = whole % 60;
  return `${Math.floor(whole / 60)} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
}
