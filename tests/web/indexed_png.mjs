// A picture with 256 colours as PNG: a third of the size that a browser's screenshot has.
import { deflateSync } from "node:zlib";

const COLORS = 256;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; ++bit) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/// Median cut: the box of colours that is widest is halved until there are enough.
function palette(histogram) {
  const boxes = [[...histogram.keys()]];
  const channel = (color, shift) => (color >> shift) & 255;
  const widest = (box) => {
    let best = { width: -1, shift: 0 };
    for (const shift of [0, 8, 16]) {
      let low = 255;
      let high = 0;
      for (const color of box) {
        low = Math.min(low, channel(color, shift));
        high = Math.max(high, channel(color, shift));
      }
      if (high - low > best.width) best = { width: high - low, shift };
    }
    return best;
  };
  const weigh = (box) => widest(box).width * Math.sqrt(box.reduce((sum, color) => sum + histogram.get(color), 0));
  const weights = [weigh(boxes[0])];
  while (boxes.length < COLORS) {
    const index = weights.indexOf(Math.max(...weights));
    const box = boxes[index];
    if (box.length < 2) break;
    const { shift } = widest(box);
    box.sort((a, b) => channel(a, shift) - channel(b, shift));
    const halves = [box.slice(0, box.length >> 1), box.slice(box.length >> 1)];
    boxes.splice(index, 1, ...halves);
    weights.splice(index, 1, ...halves.map(weigh));
  }
  return boxes;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/// `pixels`: red, green, blue, alpha of each; alpha is left out.
export function indexedPng(pixels, width, height) {
  const histogram = new Map();
  const colorAt = (i) => (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];
  for (let i = 0; i < pixels.length; i += 4) histogram.set(colorAt(i), (histogram.get(colorAt(i)) ?? 0) + 1);
  const boxes = palette(histogram);
  const indexOf = new Map();
  const table = Buffer.alloc(boxes.length * 3);
  boxes.forEach((box, index) => {
    const total = box.reduce((sum, color) => sum + histogram.get(color), 0);
    for (const [byte, shift] of [16, 8, 0].entries()) {
      const weighed = box.reduce((sum, color) => sum + ((color >> shift) & 255) * histogram.get(color), 0);
      table[index * 3 + byte] = Math.round(weighed / total);
    }
    for (const color of box) indexOf.set(color, index);
  });
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) rows[y * (width + 1) + 1 + x] = indexOf.get(colorAt((y * width + x) * 4));
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // eight bits of a palette
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"), chunk("IHDR", head), chunk("PLTE", table),
    chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0)),
  ]);
}
