// The server sends the state of all cameras as server-sent events. Each event is rendered completely.

import { dismissAlert } from "./alert.js";
import { listenToCooling } from "./cooling.js";
import { byId } from "./dom.js";
import { listenToForm, startOrder, stepOfForm } from "./order.js";
import { listenToPicture } from "./picture.js";
import { render } from "./render.js";
import { send } from "./requests.js";
import { listenToSequence } from "./sequence.js";
import { SERVER_TIMEOUT, page } from "./state.js";

function listen() {
  const events = new EventSource("api/events");
  events.onmessage = (event) => {
    Object.assign(page, JSON.parse(event.data));
    page.eventTime = Date.now();
    page.connectionLost = false;
    render();
  };
  events.onerror = () => {
    page.connectionLost = true;
    readRefusal().then(render);
    render();
    // The browser reconnects, except after a reply that is not an event stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, SERVER_TIMEOUT);
  };
}

// A server that was started again has another token: only its own words help then.
async function readRefusal() {
  const response = await fetch("api/state").catch(() => null);
  page.refusal = response?.status === 401 ? await response.text() : null;
}

async function startExposure() {
  await startOrder([stepOfForm()]);
  render();
}

async function abortExposure() {
  await send("DELETE", `cameras/${page.number}/exposures`);
  render();
}

function setNight(on) {
  document.documentElement.classList.toggle("night", on);
  byId("night").setAttribute("aria-pressed", String(on));
  localStorage.setItem("night", on ? "on" : "");
}

byId("order").addEventListener("submit", (event) => {
  event.preventDefault();
  startExposure();
});
byId("abort").onclick = abortExposure;
byId("night").onclick = () => setNight(byId("night").getAttribute("aria-pressed") !== "true");
byId("dismiss").onclick = dismissAlert;
setNight(localStorage.getItem("night") === "on");
listenToForm();
listenToCooling(render);
listenToPicture(render);
listenToSequence(render);
setInterval(render, 1000);
listen();
