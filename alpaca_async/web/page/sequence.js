// The sequence: the list of steps that the user puts together, or the one that the camera works on.

import { byId, setText, setTextById, updateList } from "./dom.js";
import { canExpose, startOrder, stepOfForm } from "./order.js";
import { selectedCamera, wheelOf } from "./state.js";
import { storedPerCamera } from "./stored.js";
import { countText, durationText } from "./text.js";

const MAX_STEPS = 100;

const lists = storedPerCamera("sequences");

const listOf = (camera) => lists.get(camera) ?? [];

// An order of one step is a sequence if it is all that the user's list has; else that list stays.
function runningSteps(camera) {
  const steps = camera.order?.steps ?? [];
  const list = listOf(camera);
  const isOnlyStep = steps.length === 1 && list.length === 1 && areEqual(steps[0], list[0]);
  return steps.length > 1 || isOnlyStep ? steps : null;
}

const areEqual = (one, other) => Object.entries(one).every(([name, value]) => other[name] === value);

export function renderSequence(camera, render) {
  const running = runningSteps(camera);
  const steps = running ?? listOf(camera);
  byId("sequence").hidden = steps.length === 0;
  byId("add").disabled = running !== null || steps.length >= MAX_STEPS;
  byId("start").disabled = !canExpose(camera);
  byId("clear").disabled = running !== null;
  setTextById("total", totalText(steps));
  const items = steps.map((step, index) => ({ step, index }));
  updateList("steps", items, ({ index }) => index, ({ index }) => createItem(index, render),
    (item, { step, index }) => updateItem(item, camera, step, index, running !== null));
}

function totalText(steps) {
  const frames = steps.reduce((sum, step) => sum + step.count, 0);
  const seconds = steps.reduce((sum, step) => sum + step.count * step.duration, 0);
  return `${countText(frames, "frame")}, ${durationText(seconds)} of exposure`;
}

// Elements belong to a place in the list, so that the focus stays at its place.
function createItem(index, render) {
  const item = document.createElement("li");
  const tools = document.createElement("span");
  tools.className = "tools";
  tools.append(
    tool("↑", `Move step ${index + 1} up`, () => { moveUp(index); render(); focusOn(index - 1, 0); }),
    tool("×", `Remove step ${index + 1}`, () => { remove(index); render(); focusOn(index, 1); }),
  );
  item.append(document.createElement("span"), document.createElement("small"), tools);
  return item;
}

function tool(text, label, onclick) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, title: label, onclick });
  button.setAttribute("aria-label", label);
  return button;
}

function updateItem(item, camera, step, index, isRunning) {
  const [text, state, tools] = item.children;
  const isCurrent = isRunning && camera.current?.step === index;
  setText(text, stepText(step, wheelOf(camera)?.filters ?? []));
  setText(state, isRunning ? stateText(camera.current, step, index) : "");
  tools.hidden = isRunning;
  tools.firstChild.style.visibility = index === 0 ? "hidden" : "";
  if (isCurrent) item.setAttribute("aria-current", "step");
  else item.removeAttribute("aria-current");
}

function stepText({ duration, light, binning, count, filter, gain }, filters) {
  const facts = [`${count} × ${duration} s`];
  if (!light) facts.push("dark");
  if (binning > 1) facts.push(`binning ${binning}`);
  if (filter !== null) facts.push(filters[filter] ?? `filter ${filter}`);
  if (gain != null) facts.push(`gain ${gain}`);
  return facts.join(" · ");
}

function stateText(current, step, index) {
  if (current === null || index > current.step) return "";
  return index < current.step ? "done" : `${current.frame + 1} of ${step.count}`;
}

function moveUp(index) {
  const steps = [...listOf(selectedCamera())];
  [steps[index - 1], steps[index]] = [steps[index], steps[index - 1]];
  lists.set(selectedCamera(), steps);
}

function remove(index) {
  lists.set(selectedCamera(), listOf(selectedCamera()).filter((_, each) => each !== index));
}

// Moves the focus to a button of a step, or of the last one; without steps, to the form.
function focusOn(index, button) {
  const items = byId("steps").children;
  const item = items[Math.min(index, items.length - 1)];
  if (item === undefined) byId("add").focus();
  else item.lastChild.children[index === 0 ? 1 : button].focus();
}

export function listenToSequence(render) {
  byId("add").onclick = () => {
    if (!byId("order").reportValidity()) return;
    lists.set(selectedCamera(), [...listOf(selectedCamera()), stepOfForm()]);
    render();
  };
  byId("start").onclick = async () => {
    await startOrder(listOf(selectedCamera()));
    render();
  };
  byId("clear").onclick = () => {
    lists.set(selectedCamera(), []);
    render();
    byId("add").focus();
  };
}
