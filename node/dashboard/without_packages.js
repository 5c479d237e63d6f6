// The page of a build without the packages of package-lock.json.
document.getElementById("root").textContent =
  "This rse-node was built without its dashboard, because the packages for it were missing: run deploy/setup, then build again.";
