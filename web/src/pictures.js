// From what a user gives to pixels: files and the frames of a camera.

/**
 * Return a canvas with the picture of a file, upright, transparent parts white.
 *
 * Colours stay as they are in the file, since the package reads them so.
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file, {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const canvas = canvasOf(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return canvas;
}

/** Return the pixels of a canvas. */
export function pixelsOf(canvas) {
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
}

function canvasOf(source, width, height, canvas = document.createElement("canvas")) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  return canvas;
}

export class Camera {
  /** Open the camera; raises what `getUserMedia` does. */
  static async open() {
    if (!navigator.mediaDevices) throw new DOMException("no secure context", "SecurityError");
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    const video = { ...size, facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video });
    const element = document.createElement("video");
    Object.assign(element, { srcObject: stream, muted: true, playsInline: true });
    await element.play();
    return new Camera(stream, element);
  }

  constructor(stream, element) {
    this.stream = stream;
    this.element = element;
    this.canvas = document.createElement("canvas");
    this.start = performance.now();
    this.seconds = 0;
  }

  /** Return the next frame as {canvas, seconds}; null once the camera is closed or gone. */
  async next() {
    await new Promise((resolve) => {
      this.element.requestVideoFrameCallback?.(resolve) ?? requestAnimationFrame(resolve);
      setTimeout(resolve, 1000); // a camera that is gone sends no frame
    });
    if (!this.stream.active) return null;
    const { videoWidth: width, videoHeight: height } = this.element;
    // A browser that hides exact times may give two frames the same one.
    this.seconds = Math.max((performance.now() - this.start) / 1000, this.seconds + 0.001);
    return { canvas: canvasOf(this.element, width, height, this.canvas), seconds: this.seconds };
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.element.srcObject = null;
  }
}
