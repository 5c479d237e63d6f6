// The braid as a ring of three strands that runs through the tori. A dot is a projection: it leaves its torus when an epoch
// ends and goes around to the two others. Dots are sent at the rate at which epochs really end.
import * as THREE from "three";
import type { Palette } from "./palette.ts";

export const RING_RADIUS = 4.4;
const STRAND_RADIUS = 0.26;
const TWISTS = 6;
const DOTS_MAX = 720;
const DOT_SECONDS = 3.4; // around two thirds of the ring
const RATE_MAX = 60; // dots a second of one torus; above, a dot stands for several projections

const THIRD = (2 * Math.PI) / 3;

/// Where torus `index` is on the ring.
export function angleOf(index: number): number {
  return Math.PI / 2 + index * THIRD;
}

function onStrand(strand: number, angle: number, out: THREE.Vector3): THREE.Vector3 {
  const twist = TWISTS * angle + strand * THIRD;
  const radius = RING_RADIUS + STRAND_RADIUS * Math.cos(twist);
  return out.set(radius * Math.cos(angle), STRAND_RADIUS * Math.sin(twist), -radius * Math.sin(angle));
}

class StrandCurve extends THREE.Curve<THREE.Vector3> {
  constructor(private readonly strand: number) {
    super();
  }
  override getPoint(t: number, out = new THREE.Vector3()): THREE.Vector3 {
    return onStrand(this.strand, t * 2 * Math.PI, out);
  }
}

export class BraidRing {
  readonly object = new THREE.Group();
  private readonly strands: THREE.Mesh<THREE.TubeGeometry, THREE.MeshBasicMaterial>[] = [];
  private readonly dots: THREE.Points<THREE.BufferGeometry, THREE.PointsMaterial>;
  private readonly torusOfDot = new Uint8Array(DOTS_MAX);
  private readonly ageOfDot = new Float32Array(DOTS_MAX).fill(DOT_SECONDS);
  private readonly due = [0, 0, 0];
  private readonly rates = [0, 0, 0];
  private next = 0;
  private colors: THREE.Color[] = [];
  private readonly place = new THREE.Vector3();

  constructor() {
    for (let strand = 0; strand < 3; ++strand) {
      const mesh = new THREE.Mesh(
        new THREE.TubeGeometry(new StrandCurve(strand), 360, 0.012, 5, true),
        new THREE.MeshBasicMaterial({ transparent: true, depthWrite: false }),
      );
      this.strands.push(mesh);
      this.object.add(mesh);
    }
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(DOTS_MAX * 3), 3).setUsage(THREE.DynamicDrawUsage));
    geometry.setAttribute("color", new THREE.BufferAttribute(new Float32Array(DOTS_MAX * 4), 4).setUsage(THREE.DynamicDrawUsage));
    this.dots = new THREE.Points(
      geometry,
      new THREE.PointsMaterial({ size: 0.15, vertexColors: true, transparent: true, depthWrite: false, map: disc() }),
    );
    this.dots.frustumCulled = false;
    this.object.add(this.dots);
  }

  paint(palette: Palette): void {
    this.colors = palette.accents.map((accent) => new THREE.Color(accent));
    this.strands.forEach((strand, index) => {
      strand.material.color.set(palette.accents[index]!);
      strand.material.opacity = palette.additive ? 0.3 : 0.45;
    });
    this.dots.material.blending = palette.additive ? THREE.AdditiveBlending : THREE.NormalBlending;
    this.dots.material.needsUpdate = true;
  }

  setRate(torus: number, epochsPerSecond: number): void {
    this.rates[torus] = Math.min(RATE_MAX, epochsPerSecond);
  }

  /// How many projections a dot stands for.
  static dotWorth(epochsPerSecond: number): number {
    return Math.max(1, epochsPerSecond / RATE_MAX);
  }

  get moving(): boolean {
    return this.rates.some((rate) => rate > 0) || this.ageOfDot.some((age) => age < DOT_SECONDS);
  }

  advance(elapsed: number): void {
    for (let torus = 0; torus < 3; ++torus) {
      this.due[torus] = Math.min(3, this.due[torus]! + this.rates[torus]! * elapsed);
      for (; this.due[torus]! >= 1; --this.due[torus]!) this.send(torus, (this.due[torus]! - 1) / Math.max(1, this.rates[torus]!));
    }
    const positions = this.dots.geometry.getAttribute("position") as THREE.BufferAttribute;
    const colors = this.dots.geometry.getAttribute("color") as THREE.BufferAttribute;
    for (let dot = 0; dot < DOTS_MAX; ++dot) {
      const age = (this.ageOfDot[dot] = Math.min(DOT_SECONDS, this.ageOfDot[dot]! + elapsed));
      const way = age / DOT_SECONDS;
      const torus = this.torusOfDot[dot]!;
      const at = onStrand(torus, angleOf(torus) + way * 2 * THIRD, this.place);
      positions.setXYZ(dot, at.x, at.y, at.z);
      const color = this.colors[torus] ?? new THREE.Color();
      const alpha = age >= DOT_SECONDS ? 0 : Math.min(1, way * 12, (1 - way) * 12);
      colors.setXYZW(dot, color.r, color.g, color.b, alpha);
    }
    positions.needsUpdate = colors.needsUpdate = true;
  }

  private send(torus: number, age: number): void {
    this.torusOfDot[this.next] = torus;
    this.ageOfDot[this.next] = age;
    this.next = (this.next + 1) % DOTS_MAX;
  }
}

function disc(): THREE.Texture {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  const context = canvas.getContext("2d")!;
  const light = context.createRadialGradient(16, 16, 2, 16, 16, 15);
  light.addColorStop(0, "#fff");
  light.addColorStop(0.45, "#fff");
  light.addColorStop(1, "#fff0");
  context.fillStyle = light;
  context.fillRect(0, 0, 32, 32);
  return new THREE.CanvasTexture(canvas);
}
