// A map of papers: one buffer of points drawn by WebGL, names of regions on a canvas above it.
// Without WebGL a 2D canvas draws the points, and `note` says so.

const SIDE = 65535;
const MOST_ZOOM = 400;
const DRAG = 4; // pixels from which a press is a drag
const MOST_CORNERS = 60; // of a lasso
const NEAR = 10; // pixels within which a point is pointed at

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

const YEARS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 201, 37]];
const CATEGORIES = [
  [0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233],
  [140, 120, 60], [120, 120, 130],
]; // Okabe and Ito's, which people with colour blindness can tell apart
const HIT = [226, 40, 40, 255];
const OWN = [255, 0, 200, 240];

export class PaperMap {
  // events: hover(paper or null), open(paper), lasso(corners: [x, y, …])
  constructor(place, bytes, events = {}) {
    this.read(bytes);
    Object.assign(this, { place, events, hits: [], own: [], by: "year", lassoing: false, path: [] });
    this.points = place.appendChild(document.createElement("canvas"));
    this.names = place.appendChild(document.createElement("canvas"));
    this.names.tabIndex = 0;
    this.names.setAttribute("role", "img");
    this.names.setAttribute("aria-label", `Map of ${this.papers} papers: ${this.regions.filter((one) => !one.zoom).map((one) => one.name).join(", ")}. Arrow keys move it, plus and minus zoom, 0 shows all.`);
    this.gl = this.points.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    this.note = this.gl ? "" : " · drawn without WebGL, which this browser does not offer";
    if (this.gl) this.prepare();
    this.paint();
    this.listen();
    this.reset();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(place);
  }

  read(bytes) {
    const length = new DataView(bytes).getUint32(0, true);
    const text = new TextDecoder();
    Object.assign(this, JSON.parse(text.decode(new Uint8Array(bytes, 4, length))));
    const n = this.papers;
    this.places = new Uint16Array(bytes, 4 + length, 2 * n);
    this.years = new Uint16Array(bytes, 4 + length + 4 * n, n);
    this.kinds = new Uint8Array(bytes, 4 + length + 6 * n, n);
    this.lines = text.decode(new Uint8Array(bytes, 4 + length + 7 * n)).split("\n");
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
      const made = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, made);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      const where = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
      return made;
    };
    buffer("place", this.places, 2, gl.UNSIGNED_SHORT);
    this.colourBuffer = buffer("colour", this.colours, 4, gl.UNSIGNED_BYTE);
    this.points.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.points.addEventListener("webglcontextrestored", () => { this.prepare(); this.paint(); this.draw(); });
  }

  number(id) {
    this.numbers ??= new Map(this.lines.map((line, place) => [line.split("\t", 1)[0], place]));
    return this.numbers.get(id);
  }

  paper(place) {
    const [id, title] = this.lines[place].split("\t");
    return { id, title, year: this.years[place] };
  }

  // Which papers are lit up, and by what the others are coloured: "year" or "category".
  show({ hits = this.hits, own = this.own, by = this.by }) {
    Object.assign(this, { hits, own, by });
    this.paint();
    this.draw();
  }

  paint() {
    let first = SIDE;
    let last = 0;
    for (const year of this.years) {
      if (year < first) first = year;
      if (year > last) last = year;
    }
    const dim = this.hits.length ? 70 : 150;
    for (let place = 0; place < this.papers; place++) {
      const colour = this.by === "year"
        ? blend(YEARS, (this.years[place] - first) / Math.max(last - first, 1))
        : CATEGORIES[Math.min(this.kinds[place], CATEGORIES.length - 1)];
      this.colours.set(colour, 4 * place);
      this.colours[4 * place + 3] = dim;
    }
    for (const [ids, colour] of [[this.own, OWN], [this.hits, HIT]]) {
      for (const id of ids) {
        const place = this.number(id);
        if (place !== undefined) this.colours.set(colour, 4 * place);
      }
    }
    if (!this.gl) return;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.colourBuffer);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, this.colours);
  }

  reset() {
    Object.assign(this, { x: SIDE / 2, y: SIDE / 2, zoom: 1 });
    this.draw();
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
    this.x = Math.min(Math.max(this.x - left / this.unit, 0), SIDE);
    this.y = Math.min(Math.max(this.y + top / this.unit, 0), SIDE);
    this.draw();
  }

  // Zoom such that what is under a point of the page stays there.
  zoomAt(factor, left = this.place.clientWidth / 2, top = this.place.clientHeight / 2) {
    const [x, y] = this.onMap(left, top);
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.8), MOST_ZOOM);
    const [nowX, nowY] = this.onMap(left, top);
    this.x += x - nowX;
    this.y += y - nowY;
    this.draw();
  }

  draw() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.drawNow(); });
  }

  drawNow() {
    const dense = devicePixelRatio || 1;
    const [width, height] = [this.place.clientWidth, this.place.clientHeight];
    if (!width || !height) return;
    for (const canvas of [this.points, this.names]) {
      const size = [Math.round(width * dense), Math.round(height * dense)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    }
    const few = Math.min(4, Math.max(1, Math.sqrt(120000 / this.papers)));
    const size = Math.min(8, few * 1.6 * this.zoom ** 0.35) * dense;
    if (this.gl) {
      const gl = this.gl;
      gl.viewport(0, 0, this.points.width, this.points.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(this.uniform("centre"), this.x, this.y);
      gl.uniform2f(this.uniform("scale"), (2 * this.unit) / width, (2 * this.unit) / height);
      gl.uniform1f(this.uniform("size"), size);
      gl.drawArrays(gl.POINTS, 0, this.papers);
    } else {
      const pen = this.points.getContext("2d");
      pen.clearRect(0, 0, this.points.width, this.points.height);
      for (let place = 0; place < this.papers; place++) {
        const [left, top] = this.onPage(this.places[2 * place], this.places[2 * place + 1]);
        if (left < 0 || top < 0 || left > width || top > height) continue;
        const [red, green, blue, alpha] = this.colours.subarray(4 * place, 4 * place + 4);
        pen.fillStyle = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
        const side = alpha > 230 ? Math.max(2 * size, 5) : size;
        pen.fillRect(left * dense - side / 2, top * dense - side / 2, side, side);
      }
    }
    this.drawNames(dense, width, height);
  }

  drawNames(dense, width, height) {
    const pen = this.names.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.place);
    Object.assign(pen, { textAlign: "center", textBaseline: "middle", lineWidth: 4, lineJoin: "round" });
    pen.strokeStyle = style.getPropertyValue("--ground").trim() || "#fff";
    pen.fillStyle = style.color;
    const finest = this.zoom < 2 ? 0 : this.zoom < 5 ? 1 : 2;
    const boxes = [];
    const said = new Set();
    this.shown = []; // the names that are there, for whoever tests
    for (const region of this.regions) {
      if (region.zoom > finest || said.has(region.name)) continue;
      const [left, top] = this.onPage(region.x, region.y);
      pen.font = `${region.zoom === finest ? 600 : 700} ${15 - region.zoom}px ${style.fontFamily}`;
      const half = pen.measureText(region.name).width / 2 + 4;
      const box = [left - half, top - 11, left + half, top + 11];
      if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      if (boxes.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      boxes.push(box);
      said.add(region.name);
      this.shown.push({ name: region.name, box });
      pen.strokeText(region.name, left, top);
      pen.fillText(region.name, left, top);
    }
    if (!this.path.length) return;
    pen.beginPath();
    for (const [x, y] of this.path) pen.lineTo(...this.onPage(x, y));
    pen.closePath();
    Object.assign(pen, { strokeStyle: style.color, lineWidth: 2 });
    pen.setLineDash([6, 4]);
    pen.stroke();
    pen.setLineDash([]);
  }

  // The corners of a polygon that is shown; none to take it away.
  outline(corners) {
    this.path = [];
    for (let place = 0; place + 1 < corners.length; place += 2) this.path.push([corners[place], corners[place + 1]]);
    this.draw();
  }

  // The paper at a point of the page, the lit ones first.
  at(left, top) {
    const [x, y] = this.onMap(left, top);
    const reach = NEAR / this.unit;
    let best = -1;
    let least = reach * reach;
    for (let place = 0; place < this.papers; place++) {
      const [right, up] = [this.places[2 * place] - x, this.places[2 * place + 1] - y];
      const far = (right * right + up * up) * (this.colours[4 * place + 3] > 230 ? 0.2 : 1);
      if (far < least) [best, least] = [place, far];
    }
    return best < 0 ? null : this.paper(best);
  }

  listen() {
    const pressed = new Map(); // pointers that are down
    const spot = (event) => {
      const box = this.place.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const on = (name, act, options) => this.names.addEventListener(name, act, options);
    let began = null; // where a press began; null once it is a drag
    let lasso = null;
    on("pointerdown", (event) => {
      this.names.setPointerCapture(event.pointerId);
      pressed.set(event.pointerId, spot(event));
      began = pressed.size === 1 ? spot(event) : null;
      lasso = pressed.size === 1 && (event.shiftKey || this.lassoing) ? [this.onMap(...spot(event))] : null;
    });
    on("pointermove", (event) => {
      const now = spot(event);
      const before = pressed.get(event.pointerId);
      if (!before) return this.events.hover?.(this.at(...now));
      if (began && Math.hypot(now[0] - began[0], now[1] - began[1]) < DRAG) return;
      began = null;
      if (lasso) {
        lasso.push(this.onMap(...now));
        this.path = lasso;
        this.draw();
      } else if (pressed.size === 2) {
        const other = [...pressed].find(([id]) => id !== event.pointerId)[1];
        const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
        this.zoomAt(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else {
        this.move(now[0] - before[0], now[1] - before[1]);
      }
      pressed.set(event.pointerId, now);
    });
    const end = (event) => {
      if (!pressed.delete(event.pointerId)) return;
      if (event.type === "pointerup" && lasso?.length > 2) {
        const every = Math.ceil(lasso.length / MOST_CORNERS);
        const corners = lasso.filter((_, place) => place % every === 0).flat();
        this.events.lasso?.(corners.map((value) => Math.min(Math.max(Math.round(value), 0), SIDE)));
      } else if (event.type === "pointerup" && began) {
        const paper = this.at(...spot(event));
        if (paper) this.events.open?.(paper);
      }
      lasso = began = null;
    };
    on("pointerup", end);
    on("pointercancel", end);
    on("pointerleave", () => this.events.hover?.(null));
    on("wheel", (event) => {
      event.preventDefault();
      this.zoomAt(Math.exp(-event.deltaY / 400), ...spot(event));
    }, { passive: false });
    on("keydown", (event) => {
      const acts = {
        ArrowLeft: () => this.move(60, 0), ArrowRight: () => this.move(-60, 0),
        ArrowUp: () => this.move(0, 60), ArrowDown: () => this.move(0, -60),
        "+": () => this.zoomAt(1.5), "=": () => this.zoomAt(1.5), "-": () => this.zoomAt(1 / 1.5),
        0: () => this.reset(),
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      acts[event.key]();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }
}

function blend(colours, share) {
  const at = share * (colours.length - 1);
  const [low, high] = [colours[Math.floor(at)], colours[Math.ceil(at)]];
  return low.map((value, place) => value + (high[place] - value) * (at - Math.floor(at)));
}
