// @ts-check
// Classes of every pixel over a picture. Everything that a slider does not change is made beforehand, in the size in which it
// is shown: a slider's step is one look-up a pixel and two copies.

/** @typedef {number[]} Colour red, green, blue, 0 to 255 */
/** @typedef {HTMLCanvasElement | OffscreenCanvas} Canvas */

export const NOTHING = 255; // a class number that is not drawn: pixels that do not count
const CLASSES = 256;

/**
 * A picture that is ready to be drawn.
 * @param {string} address
 */
export async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/**
 * A copy of a picture in another size, so that it need not be scaled again.
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 */
export function scaled(image, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  contextOf(canvas).drawImage(image, 0, 0, width, height);
  return canvas;
}

/**
 * Values (0 to 255) of a grey picture in any size; each is one of the picture's own.
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 */
export function grey(image, width, height) {
  const context = contextOf(new OffscreenCanvas(width, height), { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const values = new Uint8Array(pixels.length);
  for (let i = 0; i < values.length; i += 1) values[i] = pixels[i]; // its lowest byte, red
  return values;
}

/**
 * @param {Canvas} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export const contextOf = (
  canvas,
  settings,
) => /** @type {CanvasRenderingContext2D} */ (/** @type {HTMLCanvasElement} */ (canvas).getContext("2d", settings));

/** @param {Colour} colour */
export const pixel = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/**
 * What each class (0 to 255) is drawn as: 0, transparent, for what is hidden, what does not count and, but for masks, black.
 * @param {Colour[]} colours
 * @param {Set<number>} [hidden]
 * @param {boolean} [withBlack]
 */
export function table(colours, hidden = new Set(), withBlack = false) {
  const found = new Uint32Array(CLASSES);
  for (let value = 0; value < NOTHING; value += 1) {
    const colour = colours[value] ?? [255, 255, 255];
    if (!hidden.has(value) && (withBlack || colour.some((part) => part))) found[value] = pixel(colour);
  }
  return found;
}

/**
 * `marks` (0 or 1) of the pixels that have one of another class at most `reach` pixels away, up, down or sideways.
 * @param {Uint8Array} marks
 * @param {ArrayLike<number>} classes
 * @param {number} width
 * @param {number} height
 * @param {number} reach
 */
export function borders(marks, classes, width, height, reach) {
  marks.fill(0);
  for (let y = 0, i = 0; y < height; y += 1) {
    const start = y * width, end = start + width;
    for (let x = 0; x < width; x += 1, i += 1) {
      const own = classes[i];
      if (x && classes[i - 1] !== own) {
        const last = Math.min(end, i + reach);
        for (let j = Math.max(start, i - reach); j < last; j += 1) marks[j] = 1;
      }
      if (y && classes[i - width] !== own) {
        const last = Math.min(marks.length, i + reach * width);
        for (let j = Math.max(x, i - reach * width); j < last; j += width) marks[j] = 1;
      }
    }
  }
  return marks;
}

/** A canvas that is coloured again and again. */
export class ColourLayer {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.canvas = new OffscreenCanvas(width, height);
    this.context = contextOf(this.canvas);
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.marks = new Uint8Array(this.pixels.length);
  }

  /**
   * Each pixel as `colours` has its code.
   * @param {ArrayLike<number>} codes
   * @param {Uint32Array} colours
   */
  fill(codes, colours) {
    const { pixels } = this;
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = colours[codes[i]];
    this.context.putImageData(this.image, 0, 0);
  }

  /**
   * The same only where a border is at most `reach` pixels away.
   * @param {ArrayLike<number>} classes
   * @param {Uint32Array} colours
   * @param {number} reach
   */
  outline(classes, colours, reach) {
    const { pixels, image, marks } = this;
    borders(marks, classes, image.width, image.height, Math.max(1, Math.round(reach)));
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = marks[i] ? colours[classes[i]] : 0;
    this.context.putImageData(image, 0, 0);
  }
}

/**
 * Lay a picture and layers ([canvas, opacity]) on one another.
 * @param {Canvas} canvas
 * @param {CanvasImageSource | null | undefined} picture
 * @param {[CanvasImageSource, number][]} layers
 */
export function compose(canvas, picture, layers) {
  const context = contextOf(canvas);
  const { width, height } = canvas;
  context.globalAlpha = 1;
  context.clearRect(0, 0, width, height);
  if (picture) context.drawImage(picture, 0, 0, width, height);
  context.imageSmoothingEnabled = false;
  for (const [layer, opacity] of layers) {
    context.globalAlpha = opacity;
    context.drawImage(layer, 0, 0, width, height);
  }
  context.globalAlpha = 1;
}
