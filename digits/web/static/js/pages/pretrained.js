// @ts-check
// A pretrained model's page: when its job has ended, it is loaded again, with the room to test it and all that can be done.

document.addEventListener("digits:status", (event) => {
  if (event instanceof CustomEvent && !event.detail.running) location.reload();
});
