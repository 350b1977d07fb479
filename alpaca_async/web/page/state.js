// What the page knows: the last event of the server, and what the user has selected.

export const SERVER_TIMEOUT = 4000; // milliseconds; the server sends an event at least once a second

export const page = {
  cameras: [], // of the last event of the server
  devices: [], // likewise
  number: 0, // of the selected camera
  frame: null, // the name of the selected frame; null: the latest
  notice: null, // the error of the last request
  eventTime: null, // of the last event
  connectionLost: false,
  refusal: null, // why the server refuses the page, in its words
  folder: "", // where the frames are; of the last event
  zoom: null, // the middle of the part that is shown in full resolution, as fractions; null: the whole picture
};

export const selectedCamera = () => page.cameras[page.number];

// The filter wheel that the steps of a camera move.
export const wheelOf = (camera) => page.devices.find((device) => device.number === camera.wheel);

export const selectedFrame = (camera) => camera.frames.find((each) => each.name === page.frame) ?? camera.frames[0];

export const serverIsSilent = () =>
  page.connectionLost || (page.eventTime !== null && Date.now() - page.eventTime > SERVER_TIMEOUT);
