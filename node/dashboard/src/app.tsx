import "uplot/dist/uPlot.min.css";
import "./app.css";
import { createRoot } from "react-dom/client";
import * as THREE from "three";
import uPlot from "uplot";

console.log(new THREE.WebGLRenderer(), uPlot);
createRoot(document.getElementById("root")!).render(<main>RSE</main>);
