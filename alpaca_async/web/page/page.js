// The server sends the state of all cameras as server-sent events. Each event is rendered completely.

import { byId } from "./dom.js";
import { startOrder, stepOfForm } from "./order.js";
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
    render();
    // The browser reconnects, except after a reply that is not an event stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, SERVER_TIMEOUT);
  };
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
for (const chip of document.querySelectorAll(".chips button")) {
  chip.onclick = () => { byId("duration").value = chip.value; };
}
setNight(localStorage.getItem("night") === "on");
listenToPicture(render);
listenToSequence(render);
setInterval(render, 1000);
listen();
