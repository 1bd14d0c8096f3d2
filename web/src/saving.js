// Results as files, in the forms of `minixception image` and `minixception video`.

import { mostProbable } from "./classifier.js";

const FORMULA = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/;

/** Return a face as the package's FacePrediction.to_json does. */
export function toJson({ box, scores }) {
  const content = { box: [box.x, box.y, box.width, box.height] };
  for (const [task, each] of Object.entries(scores)) {
    content[task] = mostProbable(each);
    content[`${task}_scores`] = each;
  }
  return content;
}

/**
 * Return a table with a row for each face, and for a picture without one.
 *
 * @param rows {head, face}: name -> value, and a face or null
 * @param names of the columns of a head
 * @param classes task -> class names, so that a table without a face has all columns
 */
export function toCsv(rows, names, classes) {
  const table = rows.map(({ head, face }) => {
    const row = { ...head, ...face?.box };
    for (const [task, scores] of Object.entries(face?.scores ?? {})) {
      row[task] = mostProbable(scores) ?? "";
      for (const [name, score] of Object.entries(scores)) row[`${task}_${name}`] = score;
    }
    return row;
  });
  const scores = Object.entries(classes).flatMap(([task, each]) => each.map((name) => `${task}_${name}`));
  const expected = [...names, "x", "y", "width", "height", ...Object.keys(classes), ...scores];
  // A camera's rows may be of several models.
  const columns = [...new Set([...expected, ...table.flatMap(Object.keys)])];
  const lines = table.map((row) => columns.map((column) => quote(row[column] ?? "")).join(","));
  return [columns.join(","), ...lines, ""].join("\r\n");
}

/** Return a value as a cell; a spreadsheet runs no text as a formula, as with the package's csv_cell. */
function quote(value) {
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Let the browser save a text. */
export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
