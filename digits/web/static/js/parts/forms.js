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
 * Say that fields were changed by code, as if the user had done it.
 * @param {Element} field
 * @param {string} [type]
 */
export const tellChange = (field, type = "change") => field.dispatchEvent(new Event(type, { bubbles: true }));
