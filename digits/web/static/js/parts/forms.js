// @ts-check
// Fields of a form by their names.

/**
 * A field: an input, a select, a text area or a list of radio buttons; null where the form has none of this name.
 * @param {HTMLFormElement} form
 * @param {string} name
 * @returns {any}
 */
export const control = (form, name) => form.elements.namedItem(name);

/**
 * What the first of these fields that the form has says, without blanks around it.
 * @param {HTMLFormElement} form
 * @param {...string} names
 * @returns {string}
 */
export const textOf = (form, ...names) =>
  names.map((name) => control(form, name)?.value?.trim()).find((value) => value !== undefined) ?? "";

/**
 * Whether a field no longer says what the server wrote into it: the user was faster than the page's code, or came back to it.
 * @param {Element} field
 * @returns {boolean}
 */
export function isEdited(field) {
  if (field instanceof HTMLSelectElement) {
    const usual = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(0, usual);
  }
  if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
  if (!(field instanceof HTMLInputElement) || field.type === "hidden") return false;
  if (["checkbox", "radio"].includes(field.type)) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

/**
 * Say that fields were changed by code, as if the user had done it.
 * @param {Element} field
 * @param {string} [type]
 */
export const tellChange = (field, type = "change") => field.dispatchEvent(new Event(type, { bubbles: true }));
