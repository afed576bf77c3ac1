// A map of papers: one buffer of points drawn by WebGL, names of regions on a canvas above it.
// Without WebGL a 2D canvas draws the points, and `note` says so.

export const SIDE = 65535;
const MOST_ZOOM = 400;
const DRAG = 4; // pixels from which a press is a drag
const NEAR = 10; // pixels within which a point is pointed at
const LIT = 230; // opacity from which a point is drawn large

const VERTEX = `
attribute vec2 place; attribute vec4 colour;
uniform vec2 centre; uniform vec2 scale; uniform float size;
varying vec4 shown;
void main() {
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  gl_PointSize = colour.a > 0.9 ? max(size * 1.8, 5.0) : size;
  shown = colour;
}`;
const FRAGMENT = `
precision mediump float; varying vec4 shown;
void main() {
  if (length(gl_PointCoord - 0.5) > 0.5) discard;
  gl_FragColor = vec4(shown.rgb * shown.a, shown.a);
}`;

export const SCALE = [[120, 88, 190], [66, 122, 200], [28, 158, 150], [100, 185, 90], [232, 165, 20]]; // on white and on black
export const KINDS = [
  [0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233],
  [140, 120, 60], [120, 120, 130],
]; // Okabe and Ito's, which people with colour blindness can tell apart; the last for all others
const HIT = [226, 40, 40, 255];
const OWN = [255, 0, 200, 240];

export class PaperMap {
  // events: hover(paper or null), open(paper), lasso(path), moved()
  // `path` is a polygon, [[x, y], …], that is shown.
  constructor(place, bytes, events = {}) {
    this.read(bytes);
    Object.assign(this, { place, events, hits: [], own: [], by: "year", lassoing: false, path: [] });
    this.points = place.appendChild(document.createElement("canvas"));
    this.names = place.appendChild(document.createElement("canvas"));
    this.names.tabIndex = 0;
    this.names.setAttribute("role", "img");
    const largest = this.regions.filter((region) => !region.zoom).map((region) => region.name);
    this.names.setAttribute("aria-label", `Map of ${this.papers} papers: ${largest.join(", ")}. Arrow keys move it, plus and minus zoom, 0 shows all.`);
    this.gl = this.points.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    this.note = this.gl ? "" : " · drawn without WebGL, which this browser does not offer";
    if (this.gl) this.prepare();
    this.listen();
    this.show({});
    this.look();
    new ResizeObserver(() => this.draw()).observe(place);
  }

  // As `PaperMap.as_bytes` of astrosearch.index.map writes it.
  read(bytes) {
    const length = new DataView(bytes).getUint32(0, true);
    const text = new TextDecoder();
    Object.assign(this, JSON.parse(text.decode(new Uint8Array(bytes, 4, length))));
    const n = this.papers;
    const start = 4 + length;
    this.places = new Uint16Array(bytes, start, 2 * n);
    this.years = new Uint16Array(bytes, start + 4 * n, n);
    this.citations = new Uint16Array(bytes, start + 6 * n, this.has_citations ? n : 0);
    const rest = start + 6 * n + this.citations.byteLength;
    this.kinds = new Uint8Array(bytes, rest, n);
    this.lines = text.decode(new Uint8Array(bytes, rest + n)).split("\n");
    this.colours = new Uint8Array(4 * n);
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.uniform = (name) => gl.getUniformLocation(program, name);
    const buffer = (name, data, size, type) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      const where = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
    };
    buffer("place", this.places, 2, gl.UNSIGNED_SHORT);
    buffer("colour", this.colours, 4, gl.UNSIGNED_BYTE); // it stays bound, for show()
    this.points.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.points.addEventListener("webglcontextrestored", () => { this.prepare(); this.show({}); }, { once: true });
  }

  // Which papers are lit up, and by what the others are coloured: year, category or citations.
  show({ hits = this.hits, own = this.own, by = this.by }) {
    Object.assign(this, { hits, own, by });
    const values = { year: this.years, category: this.kinds, citations: this.citations }[by];
    const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [SIDE, 0]);
    const height = by === "citations" ? Math.log1p : (value) => value - low;
    const ofScale = (value) => blend(height(value) / (height(high) || 1));
    const ofKind = (value) => KINDS[Math.min(value, KINDS.length - 1)];
    const colours = []; // by value
    this.ends = [low, high]; // of the scale
    const dim = hits.length ? 70 : 150;
    for (let place = 0; place < this.papers; place++) {
      const value = values[place];
      this.colours.set((colours[value] ??= by === "category" ? ofKind(value) : ofScale(value)), 4 * place);
      this.colours[4 * place + 3] = dim;
    }
    this.numbers ??= new Map(this.lines.map((line, place) => [line.split("\t", 1)[0], place]));
    for (const [ids, colour] of [[own, OWN], [hits, HIT]]) {
      for (const id of ids) if (this.numbers.has(id)) this.colours.set(colour, 4 * this.numbers.get(id));
    }
    this.gl?.bufferSubData(this.gl.ARRAY_BUFFER, 0, this.colours);
    this.draw();
  }

  // What is in the middle, and how large it is.
  look(x = SIDE / 2, y = SIDE / 2, zoom = 1) {
    Object.assign(this, { x: within(x, 0, SIDE), y: within(y, 0, SIDE), zoom });
    this.draw();
    this.events.moved?.();
  }

  // Pixels of the page a unit of the map.
  get unit() {
    return (Math.min(this.place.clientWidth, this.place.clientHeight) * this.zoom) / SIDE;
  }

  onPage(x, y) {
    return [this.place.clientWidth / 2 + (x - this.x) * this.unit, this.place.clientHeight / 2 - (y - this.y) * this.unit];
  }

  onMap(left, top) {
    return [this.x + (left - this.place.clientWidth / 2) / this.unit, this.y - (top - this.place.clientHeight / 2) / this.unit];
  }

  move(left, top) {
    this.look(this.x - left / this.unit, this.y + top / this.unit, this.zoom);
  }

  // Zoom such that what is under a point of the page stays there.
  zoomAt(factor, left = this.place.clientWidth / 2, top = this.place.clientHeight / 2) {
    const [x, y] = this.onMap(left, top);
    const zoom = within(this.zoom * factor, 0.8, MOST_ZOOM);
    const nearer = this.zoom / zoom;
    this.look(x + (this.x - x) * nearer, y + (this.y - y) * nearer, zoom);
  }

  draw() {
    this.waiting ||= requestAnimationFrame(() => { this.waiting = 0; this.drawNow(); });
  }

  drawNow() {
    const dense = devicePixelRatio || 1;
    const [width, height] = [this.place.clientWidth, this.place.clientHeight];
    if (!width || !height) return;
    const [across, down] = [Math.round(width * dense), Math.round(height * dense)];
    for (const canvas of [this.points, this.names]) {
      if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
    }
    const few = Math.min(4, Math.max(1, Math.sqrt(120000 / this.papers)));
    const size = Math.min(8, few * 1.6 * this.zoom ** 0.35) * dense;
    this.drawNames(this.names.getContext("2d"), width, height, dense);
    const gl = this.gl;
    if (!gl) return this.drawSquares(this.points.getContext("2d"), width, height, size, dense);
    gl.viewport(0, 0, across, down);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniform("centre"), this.x, this.y);
    gl.uniform2f(this.uniform("scale"), (2 * this.unit) / width, (2 * this.unit) / height);
    gl.uniform1f(this.uniform("size"), size);
    gl.drawArrays(gl.POINTS, 0, this.papers);
  }

  drawSquares(pen, width, height, size, dense) {
    pen.clearRect(0, 0, width * dense, height * dense);
    for (let place = 0; place < this.papers; place++) {
      const [left, top] = this.onPage(this.places[2 * place], this.places[2 * place + 1]);
      if (left < 0 || top < 0 || left > width || top > height) continue;
      const [red, green, blue, alpha] = this.colours.subarray(4 * place, 4 * place + 4);
      pen.fillStyle = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
      const side = alpha > LIT ? Math.max(2 * size, 5) : size;
      pen.fillRect(left * dense - side / 2, top * dense - side / 2, side, side);
    }
  }

  // Names of regions where there is room, the larger regions first, and the lasso.
  drawNames(pen, width, height, dense) {
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.place);
    Object.assign(pen, { textAlign: "center", textBaseline: "middle", lineWidth: 4, lineJoin: "round" });
    pen.strokeStyle = style.getPropertyValue("--ground").trim() || "#fff";
    pen.fillStyle = style.color;
    const finest = this.zoom < 2 ? 0 : this.zoom < 5 ? 1 : 2;
    const shown = []; // the names that are there
    for (const { name, x, y, zoom } of this.regions) {
      if (zoom > finest || shown.some((other) => other.name === name)) continue;
      const [left, top] = this.onPage(x, y);
      pen.font = `${zoom === finest ? 600 : 700} ${15 - zoom}px ${style.fontFamily}`;
      const half = pen.measureText(name).width / 2 + 4;
      if (left < half || left > width - half || top < 11 || top > height - 11) continue;
      if (shown.some((other) => Math.abs(other.left - left) < other.half + half && Math.abs(other.top - top) < 22)) continue;
      shown.push({ name, left, top, half });
      pen.strokeText(name, left, top);
      pen.fillText(name, left, top);
    }
    pen.beginPath();
    for (const [x, y] of this.path) pen.lineTo(...this.onPage(x, y));
    pen.closePath();
    Object.assign(pen, { strokeStyle: style.color, lineWidth: 2 });
    pen.stroke();
  }

  // The paper at a point of the page, the lit ones first; null if there is none.
  at(left, top) {
    const [x, y] = this.onMap(left, top);
    let best = -1;
    let least = (NEAR / this.unit) ** 2;
    for (let place = 0; place < this.papers; place++) {
      const [right, up] = [this.places[2 * place] - x, this.places[2 * place + 1] - y];
      const far = (right * right + up * up) * (this.colours[4 * place + 3] > LIT ? 0.2 : 1);
      if (far < least) [best, least] = [place, far];
    }
    if (best < 0) return null;
    const [id, title] = this.lines[best].split("\t");
    return { id, title, year: this.years[best] };
  }

  listen() {
    const pressed = new Map(); // pointers that are down
    const spot = (event) => [event.offsetX, event.offsetY];
    const on = (name, act) => this.names.addEventListener(name, act, { passive: false });
    const apart = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
    let began = null; // where a press began; null once it is a drag
    let lasso = false; // whether the drag draws one
    on("pointerdown", (event) => {
      this.names.setPointerCapture(event.pointerId);
      pressed.set(event.pointerId, spot(event));
      began = pressed.size === 1 ? spot(event) : null;
      lasso = began !== null && (event.shiftKey || this.lassoing);
      if (lasso) this.path = [];
    });
    on("pointermove", (event) => {
      const now = spot(event);
      const before = pressed.get(event.pointerId);
      if (!before) return this.events.hover?.(this.at(...now));
      if (began && apart(now, began) < DRAG) return;
      began = null;
      const other = [...pressed].find(([id]) => id !== event.pointerId)?.[1];
      if (lasso) {
        this.path.push(this.onMap(...now));
        this.draw();
      } else if (other) this.zoomAt(apart(now, other) / apart(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      else this.move(now[0] - before[0], now[1] - before[1]);
      pressed.set(event.pointerId, now);
    });
    const end = (event) => {
      const isWhole = pressed.delete(event.pointerId) && event.type === "pointerup";
      const paper = isWhole && began ? this.at(...began) : null;
      if (paper) this.events.open?.(paper);
      else if (isWhole && lasso && this.path.length > 2) this.events.lasso?.(this.path);
      [began, lasso] = [null, false];
    };
    on("pointerup", end);
    on("pointercancel", end);
    on("pointerleave", () => this.events.hover?.(null));
    on("wheel", (event) => {
      event.preventDefault();
      this.zoomAt(Math.exp(-event.deltaY / 400), ...spot(event));
    });
    const keys = {
      ArrowLeft: () => this.move(60, 0), ArrowRight: () => this.move(-60, 0),
      ArrowUp: () => this.move(0, 60), ArrowDown: () => this.move(0, -60),
      "+": () => this.zoomAt(1.5), "=": () => this.zoomAt(1.5), "-": () => this.zoomAt(1 / 1.5),
      0: () => this.look(),
    };
    on("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      keys[event.key]();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);

function blend(share) {
  const at = share * (SCALE.length - 1);
  const [low, high] = [SCALE[Math.floor(at)], SCALE[Math.ceil(at)]];
  return low.map((value, place) => value + (high[place] - value) * (at - Math.floor(at)));
}
