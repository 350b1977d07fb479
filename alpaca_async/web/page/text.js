// Numbers, times and errors as text.

export const UNKNOWN = "–";
export const STATES = ["Idle", "Waiting", "Exposing", "Reading out", "Downloading", "Error"];
export const PHASES = { exposing: "Exposing", reading: "Reading out", downloading: "Downloading" };
export const ERRORS = {
  400: "The device does not accept this value.",
  409: "The device cannot do this in its current state.",
  500: "An unexpected error; the log of the server has the details.",
  501: "The device does not support this.",
  502: "The device reports an error.",
  503: "The device is not connected, or cannot be reached.",
  504: "The device took too long.",
  507: "The frame cannot be saved.",
};
export const REASONS = {
  busy: "Another program is exposing with this camera.",
  lost: "The camera was restarted; the frame is lost.",
};

// The time of day; with the date if that is not today.
export function utc(text) {
  const [date, time] = new Date(text).toISOString().split("T");
  const isToday = date === new Date().toISOString().slice(0, 10);
  return `${isToday ? "" : `${date} `}${time.slice(0, 8)} UTC`;
}

export const countText = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// At most six digits: cameras report durations such as 2.0000001 s.
export const secondsText = (seconds) => `${Number(seconds.toPrecision(6))} s`;

export const number = (value, digits) => value.toFixed(digits).replace("-", "−");

export const degrees = (value) => `${number(value, 1)} °C`;

export const orUnknown = (value, format) => (value == null ? UNKNOWN : format(value));

export function durationText(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.ceil(seconds);
  const rest = whole % 60;
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${String(Math.floor(whole / 60) % 60).padStart(2, "0")} min`;
  return `${Math.floor(whole / 60)} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
}
