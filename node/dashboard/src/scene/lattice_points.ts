// One torus as 32,768 points: a cell's activity is its brightness and size. The same points can stand as a torus, which is
// what the wrap-around makes of them, or as a cube; the gap of the torus lies between the faces x = 0 and x = 31, where the
// neighbours in the cycle touch.
import * as THREE from "three";
import type { Palette } from "./palette.ts";

export const CELLS = 32 * 32 * 32;

const VERTEX = `
  attribute vec3 cell;
  attribute float before;
  attribute float now;
  uniform float mixing, seconds, cube, scatter, grown, correcting, pointSize, wake;
  varying float glow;
  varying float face;
  varying float ghost;

  const float TURN = 6.2831853;
  float hash(vec3 p) { return fract(sin(dot(p, vec3(12.9898, 78.233, 37.719))) * 43758.5453); }

  // Cells are off their places by less than half a cell: exact rows would shine as spikes.
  vec3 onTorus(vec3 c, vec3 off) {
    float gap = 0.3;
    float around = gap * 0.5 + (c.x + 0.5 + off.x * (1.0 - face)) / 32.0 * (TURN - gap) + TURN * 0.25;
    float across = (c.y + off.y) / 32.0 * TURN;
    float depth = mix(0.2, 0.92, sqrt((c.z + 0.5 + off.z) / 32.0));
    float reach = 1.72 + depth * cos(across);
    return vec3(reach * cos(around), reach * sin(around), depth * sin(across));
  }

  void main() {
    float noise = hash(cell);
    float level = mix(before, now, mixing);
    face = (cell.x < 0.5 || cell.x > 30.5) ? 1.0 : 0.0;
    // The torus grows back along x, as its regions are put together.
    float missing = scatter * smoothstep(grown - 0.02, grown + 0.05, (cell.x + noise) / 33.0);
    vec3 away = vec3(hash(cell.yzx + 3.0), hash(cell.zxy + 5.0), hash(cell.xzy + 7.0)) - 0.5;
    vec3 place = mix(onTorus(cell, away * 0.9), (cell - 15.5) * 0.098, cube);
    place += away * missing * (1.1 + 0.5 * sin(seconds * 0.6 + noise * TURN));
    float front = scatter * (1.0 - smoothstep(0.0, 0.06, abs(cell.x / 32.0 - grown)));
    float shimmer = 0.82 + 0.18 * sin(seconds * (3.0 + 4.0 * noise) + noise * 40.0);
    glow = level * shimmer * (1.0 - missing) + front * 0.8 + wake * 0.5;
    glow = min(1.0, glow + face * correcting * step(0.6, noise));
    ghost = missing;
    vec4 eye = modelViewMatrix * vec4(place, 1.0);
    gl_Position = projectionMatrix * eye;
    gl_PointSize = pointSize * (0.6 + 1.1 * glow + 0.2 * face) * (1.0 - 0.4 * missing) / -eye.z;
  }`;

const FRAGMENT = `
  uniform vec3 accent, hot, rest;
  uniform float restAlpha, glowAlpha;
  varying float glow;
  varying float face;
  varying float ghost;
  void main() {
    float distance = length(gl_PointCoord - 0.5);
    if (distance > 0.5) discard;
    float soft = smoothstep(0.5, 0.12, distance);
    vec3 lit = mix(accent, hot, smoothstep(0.6, 1.05, glow) * 0.85);
    vec3 color = mix(mix(accent, rest, 0.55 - 0.35 * face), lit, smoothstep(0.02, 0.3, glow));
    color = mix(color, rest, ghost * 0.8);
    float alpha = mix(restAlpha * (1.0 + 0.5 * face), glowAlpha, smoothstep(0.0, 0.7, glow)) * (1.0 - 0.45 * ghost);
    gl_FragColor = vec4(color, alpha * soft);
    #include <colorspace_fragment>
  }`;

interface Ordered {
  cells: Uint8Array; // x, y, z of each point
  order: Uint32Array; // the cell of each point
  counts: number[]; // points of each level of detail, coarsest last
}

/// Points in the order in which levels of detail need them: first every second cell each way and the faces, at last all.
function orderCells(): Ordered {
  const stageOf = (x: number, y: number, z: number): number => {
    if (x === 0 || x === 31 || (x % 2 === 0 && y % 2 === 0 && z % 2 === 0)) return 0;
    if (y % 2 === 0 && z % 2 === 0) return 1;
    return z % 2 === 0 ? 2 : 3;
  };
  const stages: number[][] = [[], [], [], []];
  for (let index = 0; index < CELLS; ++index) stages[stageOf(index >> 10, (index >> 5) & 31, index & 31)]!.push(index);
  const order = Uint32Array.from(stages.flat());
  const cells = new Uint8Array(CELLS * 3);
  order.forEach((index, point) => cells.set([index >> 10, (index >> 5) & 31, index & 31], point * 3));
  const upTo = stages.map((_, last) => stages.slice(0, last + 1).reduce((sum, stage) => sum + stage.length, 0));
  return { cells, order, counts: upTo.reverse() };
}

let ordered: Ordered | undefined;

/// A cell that stands for those left out beside it is as bright as the brightest of them.
function busiestNear(levels: Uint8Array, cell: number, reach: number): number {
  let most = levels[cell]!;
  const neighbours = reach === 1 ? [1] : reach === 2 ? [1, 32, 33] : [1, 32, 33, 1024, 1025, 1056, 1057];
  for (const step of neighbours) most = Math.max(most, levels[(cell + step) & (CELLS - 1)]!);
  return most;
}

export class LatticePoints {
  private reach = 0; // level of detail
  readonly object: THREE.Points;
  private readonly material: THREE.ShaderMaterial;
  private readonly before: THREE.BufferAttribute;
  private readonly now: THREE.BufferAttribute;
  private shownAt = 0;
  private period = 0.4;
  private scatterGoal = 0;
  private grownGoal = 1;

  constructor() {
    ordered ??= orderCells();
    const geometry = new THREE.BufferGeometry();
    const cell = new THREE.BufferAttribute(ordered.cells, 3);
    geometry.setAttribute("cell", cell);
    geometry.setAttribute("position", cell);
    this.before = new THREE.BufferAttribute(new Uint8Array(CELLS), 1, true).setUsage(THREE.DynamicDrawUsage);
    this.now = new THREE.BufferAttribute(new Uint8Array(CELLS), 1, true).setUsage(THREE.DynamicDrawUsage);
    geometry.setAttribute("before", this.before);
    geometry.setAttribute("now", this.now);
    const uniforms: Record<string, THREE.IUniform> = {
      accent: { value: new THREE.Color() }, hot: { value: new THREE.Color() }, rest: { value: new THREE.Color() },
    };
    for (const name of ["mixing", "seconds", "cube", "scatter", "correcting", "pointSize", "restAlpha", "glowAlpha", "wake"])
      uniforms[name] = { value: 0 };
    uniforms["grown"] = { value: 1.1 };
    this.material = new THREE.ShaderMaterial({
      vertexShader: VERTEX, fragmentShader: FRAGMENT, uniforms, transparent: true, depthWrite: false, depthTest: false,
    });
    this.object = new THREE.Points(geometry, this.material);
    this.object.frustumCulled = false;
  }

  private set(name: string, value: number): void {
    this.material.uniforms[name]!.value = value;
  }
  private get(name: string): number {
    return this.material.uniforms[name]!.value as number;
  }

  paint(palette: Palette, torus: number): void {
    (this.material.uniforms["accent"]!.value as THREE.Color).set(palette.accents[torus]!);
    (this.material.uniforms["hot"]!.value as THREE.Color).set(palette.hot[torus]!);
    (this.material.uniforms["rest"]!.value as THREE.Color).set(palette.rest);
    this.set("restAlpha", palette.restAlpha);
    this.set("glowAlpha", palette.glowAlpha);
    this.material.blending = palette.additive ? THREE.AdditiveBlending : THREE.NormalBlending;
    this.material.needsUpdate = true;
  }

  /// Takes 32,768 levels of activity, in the order of cells; what was shown fades into them.
  show(levels: Uint8Array, seconds: number): void {
    const order = ordered!.order;
    const before = this.before.array as Uint8Array;
    const now = this.now.array as Uint8Array;
    before.set(now);
    const shown = this.object.geometry.drawRange.count;
    for (let point = 0; point < Math.min(CELLS, shown); ++point) {
      const cell = order[point]!;
      now[point] = shown >= CELLS ? levels[cell]! : busiestNear(levels, cell, this.reach);
    }
    this.before.needsUpdate = this.now.needsUpdate = true;
    this.period = Math.min(1, Math.max(0.1, seconds - this.shownAt));
    this.shownAt = seconds;
  }

  /// `scattered`: its host is gone; `grown`: how much of it is back, 0 to 1.
  setLife(scattered: boolean, grown: number): void {
    if (scattered && this.scatterGoal === 0) this.set("grown", 0);
    this.scatterGoal = scattered ? 1 : 0;
    this.grownGoal = scattered ? grown : 1.1;
  }

  correct(): void {
    this.set("correcting", 1);
  }

  setDetail(level: number, pixelsPerUnit: number): void {
    this.reach = level;
    this.object.geometry.setDrawRange(0, ordered!.counts[level]!);
    this.set("pointSize", pixelsPerUnit * [1, 1.25, 1.6, 2.1][level]!);
  }

  /// Moves everything on by `elapsed` seconds. A rebuild of some milliseconds is drawn slower than it was, so that eyes can follow.
  advance(seconds: number, elapsed: number, cube: number, shimmer: number): void {
    const follow = (name: string, goal: number, perSecond: number): void => {
      const value = this.get(name);
      const step = perSecond * elapsed;
      this.set(name, Math.abs(goal - value) <= step ? goal : value + Math.sign(goal - value) * step);
    };
    this.set("seconds", shimmer);
    this.set("mixing", Math.min(1, (seconds - this.shownAt) / this.period));
    this.set("cube", cube);
    this.set("correcting", Math.max(0, this.get("correcting") - elapsed * 2.5));
    if (this.scatterGoal === 1) {
      follow("scatter", 1, 3);
      follow("grown", Math.max(this.get("grown"), this.grownGoal * 1.1), 0.8);
    } else {
      follow("grown", 1.1, 0.8);
      if (this.get("grown") >= 1.1 && this.get("scatter") > 0) {
        if (this.get("scatter") === 1) this.set("wake", 1);
        follow("scatter", 0, 2);
      }
    }
    this.set("wake", Math.max(0, this.get("wake") - elapsed * 1.2));
  }

  /// Whether something on it still moves by itself.
  get settling(): boolean {
    return this.get("mixing") < 1 || this.get("scatter") !== this.scatterGoal || this.get("wake") > 0 || this.get("correcting") > 0;
  }
}
