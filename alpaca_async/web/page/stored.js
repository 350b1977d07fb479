// Values that the browser keeps for each camera, over a reload.

const keyOf = (camera) => `${camera.server} ${camera.device_number}`;

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? {};
  } catch {
    return {};
  }
}

export function storedPerCamera(name) {
  const values = read(name);
  return {
    get: (camera) => values[keyOf(camera)],
    set: (camera, value) => {
      values[keyOf(camera)] = value;
      localStorage.setItem(name, JSON.stringify(values));
    },
  };
}
