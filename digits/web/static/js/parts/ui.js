// The parts of a page under one name.

export { confirmDialog, openDialog, promptDialog, toast } from "./dialogs.js";
export { ago, el, icon, pill, sparkline } from "./elements.js";
export { agoText, duration, fileSize, number } from "./format.js";
export { request, root, url } from "./request.js";
