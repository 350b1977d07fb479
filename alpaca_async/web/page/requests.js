// Requests to the server. What it refuses is shown here alone; errors of the devices come with the events, to all.

import { page } from "./state.js";
import { ERRORS } from "./text.js";

export async function send(method, path, body) {
  const number = page.number;
  page.notice = null;
  try {
    const response = await fetch(`api/${path}`, {
      method,
      headers: body && { "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) page.notice = { number, ...(await noticeOf(response)) };
  } catch {
    page.notice = { number, level: "bad", title: "The command did not reach the server.", text: "" };
  }
}

async function noticeOf(response) {
  const { detail, status } = await response.json().catch(() => ({ detail: "Internal server error." }));
  if (status) return { level: "bad", title: "The command failed.", text: ERRORS[status], detail };
  if (!Array.isArray(detail)) return { level: "warn", title: detail, text: "" };
  const errors = detail.map((each) => `${each.loc.at(-1)}: ${each.msg}`).join("; ");
  return { level: "bad", title: "Invalid settings.", text: errors };
}

export async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}
