// Drawing on a canvas: scales with round ticks, a curve, a map of colours.

const STOPS = [ // from dark blue over green to yellow, evenly brighter: readable without colour vision, too
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99],
  [170, 220, 50], [253, 231, 37],
];
const COLOURS = new Uint32Array(256).map((_, i) => {
  const place = (i / 255) * (STOPS.length - 1), k = Math.min(Math.floor(place), STOPS.length - 2), part = place - k;
  const [r, g, b] = [0, 1, 2].map((c) => Math.round(STOPS[k][c] * (1 - part) + STOPS[k + 1][c] * part));
  return (255 << 24) | (b << 16) | (g << 8) | r; // little-endian, as all browsers' machines are
});

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= rough) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) found.push(k * step);
  return found.length ? found : [low];
}

function worded(x, digits = 6) {
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  const text = size >= 1e6 || size < 1e-4 ? x.toExponential(digits - 1) : x.toPrecision(digits);
  return text.includes(".") ? text.replace(/\.?0+(e|$)/, "$1").replace("e+", "e") : text.replace("e+", "e");
}

function tickWord(x, low, high) {
  return worded(Math.abs(x) < (high - low) * 1e-9 ? 0 : x, 5);
}

function labelled(axis) {
  return axis.unit ? `${axis.name} [${axis.unit}]` : axis.name;
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
}

// A scale that is not empty: a constant gets some room around.
function opened([low, high]) {
  if (high > low) return [low, high];
  const room = Math.abs(low) * 1e-3 || 1;
  return [low - room, high + room];
}

class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.brush = canvas.getContext("2d");
    this.buffer = document.createElement("canvas");
  }

  begin() {
    const box = this.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.brush.clearRect(0, 0, box.width, box.height);
    this.brush.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    this.width = box.width;
    this.height = box.height;
  }

  // Room for the drawing, and its frame with ticks and labels: x and y are { low, high, label, marks }.
  frame(x, y, right) {
    const brush = this.brush, most = Math.max(2, Math.floor(this.height / 60));
    const yTicks = y.marks ?? ticks(y.low, y.high, most), yWords = yTicks.map((v) => tickWord(v, y.low, y.high));
    const left = 40 + Math.max(...yWords.map((word) => brush.measureText(word).width));
    this.box = { left, top: 26, right: this.width - right, bottom: this.height - 46 };
    this.x = x;
    this.y = y;
    const { top, bottom } = this.box, xTicks = x.marks ?? ticks(x.low, x.high, Math.max(2, Math.floor(this.width / 110)));
    brush.strokeStyle = this.colour("grid");
    brush.fillStyle = this.colour("soft");
    brush.lineWidth = 1;
    brush.textAlign = "center";
    brush.textBaseline = "top";
    for (const v of xTicks) {
      this.line(this.toX(v), top, this.toX(v), bottom);
      brush.fillText(tickWord(v, x.low, x.high), this.toX(v), bottom + 6);
    }
    brush.textAlign = "right";
    brush.textBaseline = "middle";
    yTicks.forEach((v, i) => {
      this.line(left, this.toY(v), this.box.right, this.toY(v));
      brush.fillText(yWords[i], left - 7, this.toY(v));
    });
    brush.fillStyle = this.colour("ink");
    brush.textAlign = "center";
    brush.textBaseline = "bottom";
    brush.fillText(x.label, (left + this.box.right) / 2, this.height - 2);
    brush.save();
    brush.translate(8, (top + bottom) / 2);
    brush.rotate(-Math.PI / 2);
    brush.textBaseline = "middle";
    brush.fillText(y.label, 0, 2);
    brush.restore();
  }

  outline() {
    const { left, top, right, bottom } = this.box;
    this.brush.strokeStyle = this.colour("soft");
    this.brush.lineWidth = 1;
    this.brush.strokeRect(left, top, right - left, bottom - top);
  }

  toX(v) { return this.box.left + ((v - this.x.low) / (this.x.high - this.x.low)) * (this.box.right - this.box.left); }
  toY(v) { return this.box.bottom - ((v - this.y.low) / (this.y.high - this.y.low)) * (this.box.bottom - this.box.top); }
  fromX(p) { return this.x.low + ((p - this.box.left) / (this.box.right - this.box.left)) * (this.x.high - this.x.low); }
  fromY(p) { return this.y.low + ((this.box.bottom - p) / (this.box.bottom - this.box.top)) * (this.y.high - this.y.low); }

  line(x0, y0, x1, y1) {
    this.brush.beginPath();
    this.brush.moveTo(x0, y0);
    this.brush.lineTo(x1, y1);
    this.brush.stroke();
  }

  curve(points, values, dots) {
    const brush = this.brush, { left, top, right, bottom } = this.box;
    brush.save();
    brush.beginPath();
    brush.rect(left, top - 3, right - left, bottom - top + 6); // a held scale may be left
    brush.clip();
    brush.strokeStyle = brush.fillStyle = this.colour("accent");
    brush.lineWidth = 2;
    brush.beginPath();
    points.forEach((x, i) => (i ? brush.lineTo(this.toX(x), this.toY(values[i])) : brush.moveTo(this.toX(x), this.toY(values[i]))));
    if (!dots) brush.stroke();
    brush.restore();
    if (!dots) return;
    points.forEach((x, i) => {
      brush.beginPath();
      brush.arc(this.toX(x), this.toY(values[i]), 5, 0, 2 * Math.PI);
      brush.fill();
    });
  }

  // One pixel of a buffer for each sampled point, the first row at the bottom. Points of a smooth axis reach from end to
  // end, so that half a pixel is cut off there; values of a discrete axis are cells.
  map(values, across, up, [low, high], smoothX, smoothY) {
    const image = new ImageData(across, up), pixels = new Uint32Array(image.data.buffer), scale = 255 / (high - low);
    for (let j = 0; j < up; ++j)
      for (let i = 0; i < across; ++i) {
        const place = (values[j * across + i] - low) * scale;
        pixels[(up - 1 - j) * across + i] = COLOURS[place < 0 ? 0 : place > 255 ? 255 : place | 0];
      }
    if (this.buffer.width !== across || this.buffer.height !== up) [this.buffer.width, this.buffer.height] = [across, up];
    this.buffer.getContext("2d").putImageData(image, 0, 0);
    const { left, top, right, bottom } = this.box;
    const cutX = smoothX ? 0.5 : 0, cutY = smoothY ? 0.5 : 0;
    this.brush.imageSmoothingEnabled = smoothX && smoothY;
    this.brush.drawImage(this.buffer, cutX, cutY, across - 2 * cutX, up - 2 * cutY, left, top, right - left, bottom - top);
  }

  colourBar([low, high], label) {
    const brush = this.brush, { right, top, bottom } = this.box, x = right + 16;
    for (let p = 0; p < bottom - top; ++p) {
      const c = COLOURS[Math.round(255 * (1 - p / (bottom - top - 1)))];
      brush.fillStyle = `rgb(${c & 255},${(c >> 8) & 255},${(c >> 16) & 255})`;
      brush.fillRect(x, top + p, 14, 1.5);
    }
    brush.strokeStyle = this.colour("soft");
    brush.strokeRect(x, top, 14, bottom - top);
    brush.fillStyle = this.colour("soft");
    brush.textAlign = "left";
    brush.textBaseline = "middle";
    for (const v of ticks(low, high, Math.max(2, Math.floor(this.height / 60))))
      brush.fillText(tickWord(v, low, high), x + 20, bottom - ((v - low) / (high - low)) * (bottom - top));
    brush.fillStyle = this.colour("ink");
    brush.textBaseline = "bottom";
    brush.fillText(label, x, top - 5);
  }

  cross(x, y) {
    const { left, top, right, bottom } = this.box, brush = this.brush;
    const at = Math.min(Math.max(this.toY(y), top), bottom);
    for (const [colour, width] of [["panel", 3.5], ["cursor", 1.5]]) { // with a rim: it lies on all colours
      brush.strokeStyle = this.colour(colour);
      brush.lineWidth = width;
      this.line(this.toX(x), top, this.toX(x), bottom);
      this.line(left, at, right, at);
    }
  }
}
