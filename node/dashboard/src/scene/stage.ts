// The scene: three tori on the ring of the braid. Draws at most FRAMES_PER_SECOND, less where the machine is slow: first fewer
// pixels, then fewer cells. Draws nothing while the page is hidden or the canvas is out of sight.
import * as THREE from "three";
import { angleOf, BraidRing, RING_RADIUS } from "./braid_ring.ts";
import { LatticePoints } from "./lattice_points.ts";
import { readPalette } from "./palette.ts";

const FRAMES_PER_SECOND = 30;
const SLOW_FRAME_SECONDS = 1 / 16;
const DETAIL_MAX = 3; // 0 is finest
const SWAY_SECONDS = 60; // and back
const SWAY_RADIANS = 0.22;
const DISTANCE = 26.5;
const WIDE_PIXELS = 1000; // then the words are on the left of the scene, else above it

export interface TorusLook {
  epochsPerSecond: number;
  scattered: boolean;
  grown: number;
}

export type LabelPlacer = (torus: number, x: number, y: number, near: number) => void;

export class Stage {
  private readonly renderer: THREE.WebGLRenderer;
  private readonly scene = new THREE.Scene();
  private readonly camera = new THREE.PerspectiveCamera(22, 2, 1, 90);
  private readonly ring = new BraidRing();
  private readonly tori = [new LatticePoints(), new LatticePoints(), new LatticePoints()];
  private readonly turning = new THREE.Group();
  private readonly sizes: ResizeObserver;
  private readonly sight: IntersectionObserver;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");
  private frame = 0;
  private lastDrawn = 0;
  private slow = 0;
  private detail = 0;
  private readonly fixedDetail: boolean; // for pictures: #detail=0
  private pixelRatio = Math.min(1.75, devicePixelRatio);
  private visible = true;
  private dirty = true;
  private turn = 0;
  private tilt = 0.56;
  private cube = 0;
  private cubeGoal = 0;

  /// Throws where the browser has no WebGL 2.
  constructor(private readonly canvas: HTMLCanvasElement, private readonly placeLabel: LabelPlacer) {
    const detail = new URLSearchParams(location.hash.slice(1)).get("detail");
    this.fixedDetail = detail !== null;
    this.detail = Math.min(DETAIL_MAX, Math.max(0, Math.trunc(Number(detail))));
    this.renderer = new THREE.WebGLRenderer({ canvas, alpha: true, antialias: false, powerPreference: "low-power" });
    this.tori.forEach((torus, index) => {
      const angle = angleOf(index);
      const holder = new THREE.Group();
      holder.position.set(RING_RADIUS * Math.cos(angle), 0, -RING_RADIUS * Math.sin(angle));
      // Its axis leans from the ring's tangent upwards: the strands run through the hole, and one sees into it from above.
      const tangent = new THREE.Vector3(-Math.sin(angle), 0, -Math.cos(angle));
      const axis = tangent.multiplyScalar(0.72).add(new THREE.Vector3(0, 0.7, 0)).normalize();
      holder.quaternion.setFromUnitVectors(new THREE.Vector3(0, 0, 1), axis);
      holder.add(torus.object);
      this.turning.add(holder);
    });
    this.turning.add(this.ring.object);
    this.scene.add(this.turning);
    this.repaint();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(canvas);
    this.sight = new IntersectionObserver(([entry]) => {
      this.visible = entry?.isIntersecting ?? true;
      this.wake();
    });
    this.sight.observe(canvas);
    document.addEventListener("visibilitychange", this.wake);
    this.resize();
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.sight.disconnect();
    document.removeEventListener("visibilitychange", this.wake);
    this.renderer.dispose();
  }

  /// Reads the page's colours again.
  repaint(): void {
    const palette = readPalette();
    this.tori.forEach((torus, index) => torus.paint(palette, index));
    this.ring.paint(palette);
    this.dirty = true;
    this.wake();
  }

  showCells(torus: number, levels: Uint8Array): void {
    this.tori[torus]?.show(levels, performance.now() / 1000);
    this.wake();
  }

  showLook(looks: TorusLook[]): void {
    looks.forEach((look, index) => {
      this.tori[index]?.setLife(look.scattered, look.grown);
      this.ring.setRate(index, this.calm.matches ? 0 : look.epochsPerSecond);
    });
    this.wake();
  }

  correct(torus: number): void {
    this.tori[torus]?.correct();
  }

  setCube(cube: boolean): void {
    this.cubeGoal = cube ? 1 : 0;
    this.wake();
  }

  /// By the pointer or the arrow keys, in radians.
  orbit(turn: number, tilt: number): void {
    this.turn += turn;
    this.tilt = Math.min(1.4, Math.max(-0.1, this.tilt + tilt));
    this.dirty = true;
    this.wake();
  }

  get detailLevel(): number {
    return this.detail;
  }

  private readonly wake = (): void => {
    if (this.frame === 0 && this.visible && !document.hidden) this.frame = requestAnimationFrame(this.tick);
  };

  private readonly tick = (milliseconds: number): void => {
    this.frame = 0;
    if (!this.visible || document.hidden) return;
    const seconds = milliseconds / 1000;
    const elapsed = seconds - this.lastDrawn;
    if (elapsed >= 0.9 / FRAMES_PER_SECOND) {
      this.draw(seconds, Math.min(0.1, elapsed));
      this.judge(elapsed);
      this.lastDrawn = seconds;
    }
    // Someone who asked for less motion sees each new state, and nothing that moves by itself.
    if (!this.calm.matches || this.dirty || this.tori.some((torus) => torus.settling)) this.wake();
  };

  private draw(seconds: number, elapsed: number): void {
    this.dirty = false;
    this.cube += Math.sign(this.cubeGoal - this.cube) * Math.min(Math.abs(this.cubeGoal - this.cube), elapsed * 1.6);
    const eased = this.cube * this.cube * (3 - 2 * this.cube);
    const shimmer = this.calm.matches ? 0 : seconds;
    for (const torus of this.tori) torus.advance(seconds, elapsed, eased, shimmer);
    this.ring.advance(elapsed);
    // It sways instead of turning, so that A, B and C keep their places and nothing hides another.
    const sway = this.calm.matches ? 0 : SWAY_RADIANS * Math.sin((seconds * 2 * Math.PI) / SWAY_SECONDS);
    this.turning.rotation.y = this.turn + sway;
    const aspect = this.camera.aspect;
    // A narrow canvas needs more distance to hold the whole ring.
    const distance = DISTANCE * Math.max(1, Math.min(2.2, 1.35 / aspect));
    this.camera.position.set(0, Math.sin(this.tilt) * distance, Math.cos(this.tilt) * distance);
    this.camera.lookAt(0, 0, 0);
    this.renderer.render(this.scene, this.camera);
    this.placeLabels();
  }

  private placeLabels(): void {
    const at = new THREE.Vector3();
    this.tori.forEach((torus, index) => {
      torus.object.getWorldPosition(at);
      const near = 1 / at.distanceTo(this.camera.position);
      at.y -= 2.35;
      at.project(this.camera);
      this.placeLabel(index, ((at.x + 1) / 2) * this.canvas.clientWidth, ((1 - at.y) / 2) * this.canvas.clientHeight, near);
    });
  }

  /// A machine that cannot keep up gets less to draw; it never gets more again, which would flicker.
  private judge(elapsed: number): void {
    if (this.fixedDetail || elapsed > 1) return; // after more than a second, it was hidden
    this.slow = elapsed > SLOW_FRAME_SECONDS ? this.slow + 1 : Math.max(0, this.slow - 0.5);
    if (this.slow < 12) return;
    this.slow = 0;
    if (this.pixelRatio > 1) this.pixelRatio = 1;
    else if (this.detail < DETAIL_MAX) ++this.detail;
    else return;
    this.resize();
  }

  private resize(): void {
    const width = Math.max(1, this.canvas.clientWidth);
    const height = Math.max(1, this.canvas.clientHeight);
    this.renderer.setPixelRatio(this.pixelRatio);
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    const aside = width > WIDE_PIXELS ? Math.round(width * 0.13) : 0;
    this.camera.setViewOffset(width, height, -aside, 0, width, height);
    this.camera.updateProjectionMatrix();
    for (const torus of this.tori) torus.setDetail(this.detail, height * this.pixelRatio * 0.088);
    this.dirty = true;
    this.wake();
  }
}
